"""Do MLflow's aliases and tags show the stages that were decided here?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from e2i_site.activity.changes import ALIASES
from e2i_site.activity.models import MlflowEvent
from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, SubjectOutcome, check
from e2i_site.jobs.models import Job
from e2i_site.mlflow_connector.errors import NotFound
from registry.choices import ALIASED_STAGES, Stage
from registry.models import RegisteredModel, RegistryEntry, StageChange
from registry.wanted import STAGE_TAG
from training.audit_checks.rows import HIDDEN

#: How long a decision may be on its way to an MLflow that answers the audit.
LONGEST_WAY = timedelta(minutes=15)


@dataclass(frozen=True)
class Difference:
    """One place where MLflow shows another stage than the one that was decided."""

    message: str
    priority: Priority


@dataclass(frozen=True)
class Decided:
    """What was decided here about one model."""

    entries: list[RegistryEntry]
    moved: frozenset[int]
    used: frozenset[str]

    @property
    def aliases(self) -> dict[str, str]:
        """{stage: version}; staging may hold several versions, its alias shows the newest."""
        entries = sorted(self.entries, key=lambda each: each.model_version)
        return {
            each.stage: str(each.model_version) for each in entries if each.stage in ALIASED_STAGES
        }

    def differences(
        self, aliases: Mapping[str, str], tags: Mapping[int, Mapping[str, str]]
    ) -> list[Difference]:
        """Where MLflow's aliases and tags say something else."""
        wanted = self.aliases
        found = [
            self._alias(stage, wanted.get(stage), aliases.get(stage))
            for stage in ALIASED_STAGES
            if wanted.get(stage) != aliases.get(stage)
        ]
        return found + [
            Difference(
                f"The tag {STAGE_TAG} of version {each.model_version} says {shown or 'nothing'}; "
                f"the version is in {each.stage}.",
                Priority.P2,
            )
            for each in self.entries
            if (shown := tags.get(each.model_version, {}).get(STAGE_TAG))
            != (each.stage if each.pk in self.moved else None)
        ]

    def _alias(self, stage: str, wanted: str | None, shown: str | None) -> Difference:
        urgent = Priority.P0 if stage == Stage.PRODUCTION else Priority.P1
        if shown is None:
            message = f"MLflow has no alias {stage}; decided was version {wanted}."
        elif wanted is not None:
            message = (
                f"MLflow's alias {stage} was moved out of band to version {shown}; decided was "
                f"version {wanted}."
            )
        else:
            message = f"MLflow's alias {stage} points to version {shown}; nobody decided that."
            if stage not in self.used:
                urgent = Priority.P1 if self.moved else Priority.P2
        return Difference(message, urgent)


@check(
    "4.2",
    phase=4,
    title="Alias, tag and database agree on every stage",
    remediation="Somebody moved it in MLflow, past review. Open the model's page: what was decided "
    "stands there. Have E2I carry the stages to MLflow again, or request the promotion that was "
    "meant. Clients that load by alias use the wrong version until then.",
    priority=Priority.P0,
)
def stages_agree(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Each model: its aliases point where the decisions say, its versions' tags repeat them."""
    tags: dict[str, dict[int, Mapping[str, str]]] = defaultdict(dict)
    for (name, version), found in context.mlflow.versions.items():
        tags[name][version] = found.tags
    decisions = _decisions()
    for model in RegisteredModel.objects.filter(deleted_in_mlflow=False):
        decided = decisions[model.name]
        in_mlflow = context.mlflow.models.get(model.name)
        if in_mlflow is None and model.hidden_since:
            yield context.inconclusive(model, HIDDEN)
            continue
        aliases = in_mlflow.aliases if in_mlflow else {}
        if not decided.moved and not set(aliases) & set(ALIASED_STAGES):
            continue
        if decided.differences(aliases, tags[model.name]):
            yield _confirmed(context, model)
        else:
            yield context.passed(model, evidence={"aliases": aliases})


def _decisions(model: RegisteredModel | None = None) -> dict[str, Decided]:
    """What was decided, by name of the model."""
    entries = RegistryEntry.objects.filter(deleted_in_mlflow=False)
    changes = StageChange.objects.exclude(from_stage="")
    if model is not None:
        entries, changes = entries.filter(model=model), changes.filter(entry__model=model)
    mine: dict[str, list[RegistryEntry]] = defaultdict(list)
    for entry in entries:
        mine[entry.model_id].append(entry)
    moved: dict[str, set[int]] = defaultdict(set)
    used: dict[str, set[str]] = defaultdict(set)
    for name, pk, stage in changes.values_list("entry__model__name", "entry_id", "to_stage"):
        moved[name].add(pk)
        used[name].add(stage)
    found: dict[str, Decided] = defaultdict(lambda: Decided([], frozenset(), frozenset()))
    for name in set(mine) | set(moved):
        found[name] = Decided(mine[name], frozenset(moved[name]), frozenset(used[name]))
    return found


def _confirmed(context: CheckContext, model: RegisteredModel) -> SubjectOutcome:
    """Look again, at both sides as they are now: a stage may have moved during the audit."""
    jobs = Job.objects.unfinished().filter(kind="registry.carry_stage", subject=model.trail_scope)
    job = jobs.order_by("created_at").first()
    if job and timezone.now() - job.created_at < LONGEST_WAY:
        return context.inconclusive(model, "A decision is on its way to MLflow.")
    try:
        aliases = context.connector.get_registered_model(model.name).aliases
    except NotFound:
        aliases = {}
    name = model.name.replace("'", "''")
    versions = context.connector.iter_model_versions(f"name = '{name}'")
    tags = {int(each.version): each.tags for each in versions}
    decided = _decisions(model)[model.name]
    differences = decided.differences(aliases, tags)
    evidence = {
        "aliases": aliases,
        "tags": {version: each.get(STAGE_TAG) for version, each in tags.items()},
        "decided": decided.aliases,
        "last_decision": _last_decision(model),
        "out_of_band": _out_of_band(model),
    }
    if not differences:
        return context.passed(model, evidence=evidence)
    waits = [f"A decision waits to be carried there: {job.message}"] if job else []
    return context.failed(
        model,
        " ".join([*waits, *(each.message for each in differences)]),
        evidence=evidence,
        priority=min(each.priority for each in differences),
    )


def _out_of_band(model: RegisteredModel) -> list[dict[str, Any]]:
    """The last changes past E2I of what shows a stage, with who and when where MLflow tells."""
    shown = Q(kind__in=[kind.value for kind in ALIASES], key__in=ALIASED_STAGES) | Q(key=STAGE_TAG)
    return [
        {
            "what": f"{each.label}: {each.get_kind_display().lower()} {each.key}",
            "before": each.before,
            "after": each.after,
            "by": each.user or None,
            "happened_at": each.happened_at,
            "noticed_at": each.noticed_at,
        }
        for each in MlflowEvent.objects.about_model(model.name).filter(shown)[:5]
    ]


def _last_decision(model: RegisteredModel) -> dict[str, Any] | None:
    change = StageChange.objects.filter(entry__model=model).select_related("entry", "actor").first()
    if change is None:
        return None
    return {
        "version": change.entry.model_version,
        "to": change.to_stage,
        "cause": change.cause,
        "by": change.actor.get_username() if change.actor else None,
        "at": change.at,
    }
