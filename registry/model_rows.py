"""What the list of models, and the head of a model's page, say of each model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import (
    BigIntegerField,
    CharField,
    Count,
    Exists,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Cast

from registry.choices import ALIASED_STAGES, Stage
from registry.models import Promotion, RegisteredModel, RegistryEntry, StageChange
from registry.queries import open_promotions
from registry.search.conditions import carrying, head_version, newest_version, open_findings


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


@dataclass(frozen=True)
class Head:
    """The version in production, else the newest, and what its run tells; with the model's tags."""

    version: int
    params: Mapping[str, Any]
    metrics: Mapping[str, Any]
    tags: Mapping[str, Any]


@dataclass
class ModelRow:
    """One model in the list, or the head of its page."""

    model: RegisteredModel
    versions: int = 0
    newest: int | None = None
    places: dict[str, list[RegistryEntry]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    promotions: list[Promotion] = field(default_factory=list)
    head: Head | None = None
    findings: int = 0

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
    def other_aliases(self) -> list[tuple[str, Any]]:
        """MLflow's aliases that are no stages, by name."""
        aliases = sorted(self.model.aliases.items())
        return [(alias, version) for alias, version in aliases if alias not in ALIASED_STAGES]

    @property
    def stages_down(self) -> list[tuple[Stage, list[RegistryEntry]]]:
        """The governed stages, production first, with the versions that are there."""
        return [(stage, self.places.get(stage, [])) for stage in reversed(ALIASED_STAGES)]


def with_versions(models: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    """Adds `version_count`, `newest_version`, `head_version`, which governed stages it was ever
    in, and the job that carries aliases to MLflow now."""
    job = carrying()
    versions = RegistryEntry.objects.filter(model=OuterRef("name")).order_by()
    changes = StageChange.objects.filter(entry__model=OuterRef("name")).order_by()
    return models.select_related("experiment").annotate(
        version_count=Subquery(versions.values("model").annotate(n=Count("pk")).values("n")),
        newest_version=newest_version(),
        head_version=head_version(),
        carrying_state=Subquery(job.values("state")[:1]),
        carrying_message=Subquery(job.values("message")[:1]),
        **{_used(stage): Exists(changes.filter(to_stage=stage)) for stage in ALIASED_STAGES},
    )


def _used(stage: Stage) -> str:
    return f"used_{stage}"


def model_rows(models: Sequence[RegisteredModel]) -> list[ModelRow]:
    """What the list says of each model of `with_versions`; 3 queries whatever their number."""
    rows = {model.name: ModelRow(model, *_numbers(model)) for model in models}
    _add_versions(rows)
    for row in rows.values():
        row.used = {stage for stage in ALIASED_STAGES if getattr(row.model, _used(stage), False)}
    for promotion in open_promotions().filter(entry__model__name__in=list(rows)):
        rows[promotion.entry.model_id].promotions.append(promotion)
    for name, number in _findings_of(models).items():
        rows[name].findings = number
    return list(rows.values())


def _numbers(model: RegisteredModel) -> tuple[int, int | None]:
    """How many versions there are, and the newest one."""
    return getattr(model, "version_count", 0) or 0, getattr(model, "newest_version", None)


def _add_versions(rows: Mapping[str, ModelRow]) -> None:
    """The versions in governed stages, and the heads; 1 query."""
    heads = {name: getattr(row.model, "head_version", None) for name, row in rows.items()}
    wanted = Q(model__in=list(rows), stage__in=ALIASED_STAGES)
    for name, number in heads.items():
        wanted |= Q(model=name, model_version=number)
    fields = ("model_id", "model_version", "stage", "training_run__params", "training_run__metrics")
    found = RegistryEntry.objects.filter(wanted).select_related("training_run").only(*fields)
    for entry in found.order_by("-model_version"):
        row, run = rows[entry.model_id], entry.training_run
        if entry.stage in ALIASED_STAGES:
            row.places.setdefault(entry.stage, []).append(entry)
        if entry.model_version == heads[entry.model_id]:
            row.head = Head(
                entry.model_version,
                run.params if run else {},
                run.metrics if run else {},
                row.model.tags,
            )


def _findings_of(models: Sequence[RegisteredModel]) -> Mapping[str, int]:
    """{name: open findings on the model and its versions}; 1 query."""
    names = {str(model.pk): model.name for model in models}
    kind = RegisteredModel._meta.label_lower
    versions = RegistryEntry.objects.filter(model__in=list(names.values())).order_by()
    owner = RegistryEntry.objects.filter(pk=Cast(OuterRef("subject_key"), BigIntegerField()))
    found = (
        open_findings()
        .filter(
            Q(subject_kind=kind, subject_key__in=list(names))
            | Q(~Q(subject_kind=kind), subject_key__in=versions.values(key=Cast("pk", CharField())))
        )
        .order_by()
        .values_list("subject_kind", "subject_key", Subquery(owner.values("model_id")))
    )
    return Counter(names[key] if each == kind else str(owner) for each, key, owner in found)


def model_row(
    model: RegisteredModel, entries: Iterable[RegistryEntry], history: Iterable[StageChange]
) -> ModelRow:
    """The head of one model's page from what the page has loaded; 1 query more."""
    row = ModelRow(model, *_numbers(model))
    for entry in entries:
        if entry.stage in ALIASED_STAGES:
            row.places.setdefault(entry.stage, []).append(entry)
    row.used = {change.to_stage for change in history} | set(row.places)
    row.promotions = list(open_promotions().filter(entry__model__name=model.name))
    return row
