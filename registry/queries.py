"""What the registry's pages gather across tables. Each function states its number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Count, Max, Prefetch, Q, QuerySet
from django.utils import timezone

from e2i_site.audit.models import Finding
from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from registry.choices import (
    ALIASED_STAGES,
    OPEN_PROMOTION,
    UNDECIDED,
    PromotionState,
    ReviewDecision,
    Stage,
)
from registry.models import (
    GateResult,
    Promotion,
    PromotionPolicy,
    RegisteredModel,
    RegistryEntry,
    Review,
    StageChange,
)
from registry.policies import may_review

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# Columns that a list of versions never shows and that can be long.
LONG_OF_ENTRY = ("signature", "hyperparameters", "selection_rationale", "tags", "description")
VERSIONS_A_PAGE = 50
_CAUSES_JOBS = (*OPEN_PROMOTION, PromotionState.APPLIED, PromotionState.FAILED)


def open_promotions() -> QuerySet[Promotion]:
    """Open promotions with requester, policy and the version's few facts."""
    return light(Promotion.objects.open())


def light(promotions: QuerySet[Promotion]) -> QuerySet[Promotion]:
    """With what a row of a list shows, and nothing long."""
    return promotions.select_related("entry", "requester", "policy").defer(
        *(f"entry__{name}" for name in LONG_OF_ENTRY)
    )


def with_marks(promotions: QuerySet[Promotion]) -> QuerySet[Promotion]:
    """Adds the gates without their evidence; one query more."""
    marks = GateResult.objects.defer("evidence", "specification")
    return promotions.prefetch_related(Prefetch("gates", marks))


TABS = {
    "needs-me": "Needs my decision",
    "waiting": "Waiting on others",
    "mine": "Mine",
    "decided": "Decided",
    "all": "All",
}
# Where the one that has waited longest comes first.
WAITING_TABS = ("needs-me", "waiting", "mine")


@dataclass(frozen=True)
class Queue:
    """The promotions that fit a filter, by tab. Each one is in exactly one tab besides "all"."""

    counts: dict[str, int]
    tabs: dict[str, Q]
    fitting: QuerySet[Promotion]
    newest: int = 0

    def rows(self, tab: str) -> QuerySet[Promotion]:
        """Those in `tab`, oldest first where somebody waits, else newest first."""
        order = "id" if tab in WAITING_TABS else "-id"
        found = light(self.fitting.filter(self.tabs[tab]))
        return found.defer("policy__stages", "risk_reasons").order_by(order)


def queue(user: User, fitting: QuerySet[Promotion]) -> Queue:
    """Sort the promotions in `fitting` into tabs for `user`; 2 queries, whatever their number.

    The same policy that enables the buttons says whose decision is needed.
    """
    opened, mine = Q(state__in=OPEN_PROMOTION), Q(requester=user)
    approved = Review.objects.filter(
        reviewer=user,
        decision=ReviewDecision.APPROVE,
        void_reason="",
        promotion__state=UNDECIDED[0],
    )
    needs_me = _may_decide(user) & ~mine & ~Q(pk__in=approved.values("promotion"))
    tabs = {
        "needs-me": needs_me,
        "waiting": opened & ~mine & ~needs_me,
        "mine": opened & mine,
        "decided": ~opened,
        "all": Q(),
    }
    facts = fitting.aggregate(
        newest=Max("pk"),
        **{f"in_{n}": Count("pk", filter=tab) for n, tab in enumerate(tabs.values()) if tab},
        total=Count("pk"),
    )
    counts = {tab: facts.get(f"in_{n}", facts["total"]) for n, tab in enumerate(tabs)}
    return Queue(counts, tabs, fitting, facts["newest"] or 0)


def _may_decide(user: User) -> Q:
    """Promotions in review whose policy lets `user` decide; 1 query.

    Who may decide depends on policy and target stage only, besides who asked.
    """
    found = Q(pk__in=())
    by_stage: dict[str, list[int]] = defaultdict(list)
    in_use = Promotion.objects.filter(state=UNDECIDED[0]).values("policy")
    for policy in PromotionPolicy.objects.filter(pk__in=in_use):
        for stage in Stage.values:
            asked = Promotion(policy=policy, to_stage=stage, state=UNDECIDED[0])
            if may_review(user, asked, ReviewDecision.REJECT):
                by_stage[stage].append(policy.pk)
    for stage, policies in by_stage.items():
        found |= Q(state=UNDECIDED[0], to_stage=stage, policy__in=policies)
    return found


def needs_decision(user: User, promotion: Promotion) -> bool:
    """Whether it is in review and `user` is one of those who may decide it.

    A promotion whose requester has to answer first waits on the requester.
    """
    return promotion.state == UNDECIDED[0] and bool(
        may_review(user, promotion, ReviewDecision.REJECT)
    )


def entries_of(model: RegisteredModel, *, up_to: int | None = None) -> list[RegistryEntry]:
    """The staged versions and a page of the others, newest first; 2 queries with deployments.

    `up_to` is the highest version number of the page.
    """
    newest = up_to or getattr(model, "newest_version", None) or 0
    page = Q(model_version__lte=newest, model_version__gt=newest - VERSIONS_A_PAGE)
    return list(
        model.entries.filter(page | Q(stage__in=ALIASED_STAGES))
        .select_related("training_run__dataset", "training_run__selection", "trained_by")
        .defer(*LONG_OF_ENTRY, *_long_of_run("training_run"))
        .prefetch_related("deployments")
        .order_by("-model_version")
    )


def stage_history(*, model_name: str, limit: int = 200) -> list[StageChange]:
    """Stage changes of all versions of a model, newest first; 1 query."""
    return list(
        StageChange.objects.filter(entry__model__name=model_name)
        .select_related("entry", "actor")
        .defer(*(f"entry__{name}" for name in LONG_OF_ENTRY))[:limit]
    )


def findings_about(
    *, model: RegisteredModel | None, entries: Sequence[RegistryEntry]
) -> list[Finding]:
    """Open findings on a model, its versions, their runs and deployments; 1 query.

    Deployments must be prefetched.
    """
    subjects: dict[str, list[str]] = defaultdict(list)
    if model is not None:
        subjects[model._meta.label_lower].append(str(model.pk))
    for entry in entries:
        subjects[entry._meta.label_lower].append(str(entry.pk))
        if entry.training_run_id:
            subjects["training.trainingrun"].append(str(entry.training_run_id))
        for deployment in entry.deployments.all():
            subjects[deployment._meta.label_lower].append(str(deployment.pk))
    wanted = Q(pk__in=())
    for kind, keys in subjects.items():
        wanted |= Q(subject_kind=kind, subject_key__in=keys)
    return list(Finding.objects.open(timezone.now()).filter(wanted)[:50])


def versions_for_comparison(model_name: str, numbers: Iterable[int]) -> dict[int, RegistryEntry]:
    """{version: entry} with run, data set and split; 1 query."""
    entries = RegistryEntry.objects.filter(model__name=model_name, model_version__in=list(numbers))
    return {entry.model_version: entry for entry in entries.select_related(*_WITH_RUN)}


_MORE = ("training_run__selection", "training_run__experiment", "training_run__data_quality")
_WITH_RUN = ("model", "experiment", "trained_by", "training_run__dataset", "training_run__split")


def version(model_name: str, number: int) -> QuerySet[RegistryEntry]:
    """One version with everything its page shows beside lists."""
    return RegistryEntry.objects.filter(
        model__name=model_name, model_version=number
    ).select_related(*_WITH_RUN, *_MORE, "card__updated_by")


def _long_of_run(prefix: str) -> list[str]:
    names = ("params", "metrics", "tags", "evaluation", "request", "feature_names")
    return [f"{prefix}__{name}" for name in names]


def promotion_with_everything() -> QuerySet[Promotion]:
    """A promotion with both versions, their runs, data sets and splits; 1 query."""
    paths = (
        "model",
        "experiment",
        "trained_by",
        "training_run__dataset",
        "training_run__split",
    )
    return Promotion.objects.select_related(
        "requester",
        "policy",
        *(f"entry__{path}" for path in paths),
        *(f"champion__{path}" for path in paths if path != "model"),
    )


def jobs_of(promotion: Promotion, endpoints: Iterable[str], limit: int = 6) -> list[Job]:
    """Background work that the promotion caused, oldest first; 1 query, or none when there is none.

    `endpoints` are those of its deployments. An applied promotion causes nothing after the minute
    in which it was applied.
    """
    if promotion.state not in _CAUSES_JOBS:
        return []
    entry = promotion.entry
    subjects = [f"model:{entry.model_id}", f"entry:{entry.pk}"]
    subjects += [f"endpoint:{endpoint}" for endpoint in endpoints]
    since = promotion.decided_at or promotion.created_at
    jobs = Job.objects.filter(subject__in=subjects, created_at__gte=since)
    # MLflow tells of every tag that is set, also of E2I's own; that is reading, not the promotion.
    jobs = jobs.exclude(kind="mlflow.apply_webhook")
    if promotion.applied_at:
        jobs = jobs.filter(created_at__lte=promotion.applied_at + timedelta(minutes=1))
    return list(jobs.defer("log", "result").order_by("id")[:limit])


def trail_of(promotion: Promotion, limit: int = 100) -> list[TrailEntry]:
    """What the trail holds about the promotion itself, oldest first; 1 query."""
    entries = TrailEntry.objects.filter(
        subject_type=promotion._meta.label_lower, subject_id=str(promotion.pk)
    )
    return list(entries.order_by("id")[:limit])
