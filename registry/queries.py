"""What the registry's pages gather across tables. Each function states its number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Max, OuterRef, Prefetch, Q, QuerySet, Subquery, Value
from django.db.models.functions import Concat
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
_LONG = ("signature", "hyperparameters", "selection_rationale", "tags", "description")
VERSIONS_A_PAGE = 50
_CAUSES_JOBS = (*OPEN_PROMOTION, PromotionState.APPLIED, PromotionState.FAILED)
CARRY_KIND = "registry.carry_stage"


@dataclass(frozen=True)
class Drift:
    """A governed alias that MLflow has elsewhere than the decision put it."""

    alias: str
    ours: int | None
    mlflow: int | None

    def __str__(self) -> str:
        here = f"v{self.ours}" if self.ours else "no version"
        there = f"v{self.mlflow}" if self.mlflow else "no version"
        return f"{self.alias}: {here} here, {there} in MLflow"


def alias_drift(
    aliases: Mapping[str, Any], entries: Iterable[RegistryEntry], used: Iterable[str]
) -> list[Drift]:
    """Aliases that differ. `used` are the stages this model was ever in here: others' aliases,
    of stages that no decision ever touched, are not ours to judge."""
    ours: dict[str, int] = {}
    for entry in entries:
        ours[entry.stage] = max(entry.model_version, ours.get(entry.stage, 0))
    found = []
    for alias in ALIASED_STAGES:
        here, there = ours.get(alias), aliases.get(alias)
        there = int(there) if there is not None else None
        if alias in used and here != there:
            found.append(Drift(alias.value, here, there))
    return found


@dataclass
class ModelRow:
    """One model in the list, or the head of its page."""

    model: RegisteredModel
    versions: int = 0
    newest: int | None = None
    places: dict[str, list[RegistryEntry]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    promotions: list[Promotion] = field(default_factory=list)

    @property
    def carrying(self) -> str:
        """State of the job that carries the aliases to MLflow; empty when none is under way."""
        return getattr(self.model, "carrying_state", None) or ""

    @property
    def carrying_message(self) -> str:
        return getattr(self.model, "carrying_message", None) or ""

    @property
    def drift(self) -> list[Drift]:
        """Nothing while a job is still carrying the decision to MLflow."""
        if self.carrying:
            return []
        staged = [entry for entries in self.places.values() for entry in entries]
        return alias_drift(self.model.aliases, staged, self.used)

    @property
    def stages_down(self) -> list[tuple[Stage, list[RegistryEntry]]]:
        """The governed stages, production first, with the versions that are there."""
        return [(stage, self.places.get(stage, [])) for stage in reversed(ALIASED_STAGES)]


def with_versions(models: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    """Adds `version_count`, `newest_version`, `head_version`, and the job that carries aliases
    to MLflow now."""
    job = carrying()
    versions = RegistryEntry.objects.filter(model=OuterRef("name")).order_by()
    return models.select_related("experiment").annotate(
        version_count=Subquery(versions.values("model").annotate(n=Count("pk")).values("n")),
        newest_version=newest_version(),
        head_version=head_version(),
        carrying_state=Subquery(job.values("state")[:1]),
        carrying_message=Subquery(job.values("message")[:1]),
    )


def model_rows(models: Sequence[RegisteredModel]) -> list[ModelRow]:
    """What the list says of each model; 3 queries whatever their number."""
    rows = {
        model.name: ModelRow(
            model, getattr(model, "version_count", 0), getattr(model, "newest_version", None)
        )
        for model in models
    }
    staged = RegistryEntry.objects.filter(model__name__in=list(rows), stage__in=ALIASED_STAGES)
    for entry in staged.defer(*_LONG).order_by("-model_version"):
        rows[entry.model_id].places.setdefault(entry.stage, []).append(entry)
    changes = StageChange.objects.filter(
        entry__model__name__in=list(rows), to_stage__in=ALIASED_STAGES
    )
    for name, stage in changes.order_by().values_list("entry__model__name", "to_stage").distinct():
        rows[name].used.add(stage)
    for promotion in open_promotions().filter(entry__model__name__in=list(rows)):
        rows[promotion.entry.model_id].promotions.append(promotion)
    return list(rows.values())


def model_row(
    model: RegisteredModel, entries: Iterable[RegistryEntry], history: Iterable[StageChange]
) -> ModelRow:
    """The head of one model's page from what the page has loaded; 1 query more."""
    row = ModelRow(
        model, getattr(model, "version_count", 0), getattr(model, "newest_version", None)
    )
    for entry in entries:
        if entry.stage in ALIASED_STAGES:
            row.places.setdefault(entry.stage, []).append(entry)
    row.used = {change.to_stage for change in history} | set(row.places)
    row.promotions = list(open_promotions().filter(entry__model__name=model.name))
    return row


def open_promotions() -> QuerySet[Promotion]:
    """Open promotions with requester, policy and the version's few facts."""
    return light(Promotion.objects.open())


def light(promotions: QuerySet[Promotion]) -> QuerySet[Promotion]:
    """With what a row of a list shows, and nothing long."""
    return promotions.select_related("entry", "requester", "policy").defer(
        *(f"entry__{name}" for name in _LONG)
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
        .defer(*_LONG, *_long_of_run("training_run"))
        .prefetch_related("deployments")
        .order_by("-model_version")
    )


def stage_history(*, model_name: str, limit: int = 200) -> list[StageChange]:
    """Stage changes of all versions of a model, newest first; 1 query."""
    return list(
        StageChange.objects.filter(entry__model__name=model_name)
        .select_related("entry", "actor")
        .defer(*(f"entry__{name}" for name in _LONG))[:limit]
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
    ).select_related(*_WITH_RUN, *_MORE)


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
