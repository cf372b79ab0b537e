"""What the terms of a search line over models mean to the database.

Metrics and parameters of a model are those of its head: the version in production, else the
newest one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Concat
from django.db.models.lookups import Exact, IsNull
from django.utils import timezone

from e2i_site.audit.choices import Priority
from e2i_site.audit.models import Finding
from e2i_site.audit.models.finding import FindingQuerySet
from e2i_site.jobs.models import Job
from registry.choices import ALIASED_STAGES, Stage
from registry.governing import governing_policies
from registry.models import RegisteredModel, RegistryEntry, StageChange
from training.models import RunMetric, TrainingRun
from training.search.comparisons import (
    FLAGS,
    choice,
    column,
    compare_text,
    flag,
    json_text,
    metric_range,
    moment,
    number,
    one_of,
    without_negation,
    wrong,
)
from training.search.expressions import JSONText
from training.search.grammar import Kind, Subject, Term

MODELS = Subject(
    {
        "name": "name",
        "model": "name",
        "stage": "stage",
        "alias": "alias",
        "experiment": "experiment",
        "user": "user",
        "by": "user",
        "registered_by": "user",
        "policy": "policy",
        "drift": "drift",
        "findings": "findings",
        "version": "version",
        "updated": "updated",
        "last_updated_timestamp": "updated",
        "created": "created",
        "creation_timestamp": "created",
        "deleted": "deleted",
        "hidden": "hidden",
    },
    "stage:production",
    "stage in (shadow, production)",
)
CARRY_KIND = "registry.carry_stage"
HEAD_RUN, NEWEST = "head_run", "newest_version"


def narrow(models: QuerySet[RegisteredModel], terms: Sequence[Term]) -> QuerySet[RegisteredModel]:
    """Models that fit all terms; SearchError, with its place, for a term that means nothing."""
    conditions = [condition(term) for term in terms]
    if any(term.kind in (Kind.METRIC, Kind.PARAM) for term in terms):
        models = models.alias(**{HEAD_RUN: head_run()})
    for name in {term.name for term in terms if term.kind == Kind.METRIC}:
        models = models.alias(**{_metric(name): head_metric(name)})
    if any(term.name in ("user", "version") for term in terms if term.kind == Kind.ATTRIBUTE):
        models = models.alias(**{NEWEST: newest_version()})
    return models.filter(*conditions)


def condition(term: Term) -> Q:
    """One term as a condition on RegisteredModel; `narrow` adds the columns that some ask for."""
    match term.kind:
        case Kind.WORD:
            return Q(name__icontains=term.value)
        case Kind.METRIC:
            # Of each model the one value: there are far more values in a range than models.
            found = metric_range(term, _metric(term.name), MODELS)
            there = Q(**{f"{_metric(term.name)}__isnull": False})
            return there & found if term.op == "!=" else found
        case Kind.PARAM:
            return Q(Exists(TrainingRun.objects.filter(json_text("params", term), of_head("pk"))))
        case Kind.TAG:
            return json_text("tags", term)
        case _:
            return _ATTRIBUTES[term.name](term)


def newest_version() -> Combinable:
    """The highest version number of a model; null when it has none."""
    return Subquery(_versions().values("model_version")[:1])


def head_version() -> Combinable:
    """The number of the version in production, else of the newest one."""
    return Coalesce(Subquery(_production().values("model_version")[:1]), newest_version())


def head_run() -> Combinable:
    """The run that made the head; 0 or null when none is known."""
    # That of a version in production counts also where it has none.
    known = _production().values(run=Coalesce("training_run_id", 0))
    return Coalesce(Subquery(known[:1]), Subquery(_versions().values("training_run_id")[:1]))


def head_metric(name: str) -> Combinable:
    """A metric of the head, of models that have HEAD_RUN; null when it has none."""
    rows = RunMetric.objects.filter(of_head("run_id"), key=name)
    return Subquery(rows.values("value")[:1])


def _metric(name: str) -> str:
    """What that column is called: a metric's name may hold anything."""
    return f"metric_{name.encode().hex()}"


def of_head(field: str) -> Q:
    """What belongs to the run of a model's head, within a subquery; `field` holds the run."""
    return Q(**{field: OuterRef(HEAD_RUN)})


def carrying() -> QuerySet[Job]:
    """The unfinished job that carries a model's aliases to MLflow, within a subquery."""
    return Job.objects.unfinished().filter(
        kind=CARRY_KIND, subject=Concat(Value("model:"), OuterRef("name"))
    )


def open_findings() -> FindingQuerySet:
    """Open findings on models and on versions."""
    kinds = [each._meta.label_lower for each in (RegisteredModel, RegistryEntry)]
    return Finding.objects.open(timezone.now()).filter(subject_kind__in=kinds)


def _versions() -> QuerySet[RegistryEntry]:
    return RegistryEntry.objects.filter(model=OuterRef("name")).order_by("-model_version")


def _production() -> QuerySet[RegistryEntry]:
    """There is one at most."""
    return RegistryEntry.objects.filter(model=OuterRef("name"), stage=Stage.PRODUCTION).order_by()


def _stage(term: Term) -> Q:
    choice("stage", Stage.values)(term)  # Names what is none.
    stages = [value.lower() for value in term.values]
    rows = RegistryEntry.objects.filter(model=OuterRef("name"), stage__in=stages)
    return one_of(term, Q(Exists(rows)))


def _alias(term: Term) -> Q:
    found = Q()
    for value in term.values:
        found |= ~Q(IsNull(JSONText("aliases", value), True))
    return one_of(term, found)


def _user(term: Term) -> Q:
    """Who registered the newest version."""
    rows = RegistryEntry.objects.filter(
        compare_text(F("registered_by__username"), without_negation(term)),
        model=OuterRef("name"),
        model_version=OuterRef(NEWEST),
    )
    found = Q(Exists(rows))
    return ~found if term.op in ("!=", "not in") else found


def _policy(term: Term) -> Q:
    """The policy that governs it, chosen or by its name; two queries."""
    wanted = {value.lower() for value in term.values}
    models = list(RegisteredModel.objects.order_by().only("pk", "name", "policy_name"))
    governing = governing_policies(models)
    fitting = [each.pk for each in models if governing[each.name].name.lower() in wanted]
    return one_of(term, Q(pk__in=fitting))


def _drift(term: Term) -> Q:
    """A governed alias in MLflow is elsewhere than decided, and no job is carrying it there."""
    found = Q()
    for stage in ALIASED_STAGES:
        here = Subquery(_versions().filter(stage=stage).values("model_version")[:1])
        there = Cast(JSONText("aliases", stage.value), TextField())
        nothing = Value("", output_field=TextField())
        same = Exact(Coalesce(Cast(here, TextField()), nothing), Coalesce(there, nothing))
        used = StageChange.objects.filter(entry__model=OuterRef("name"), to_stage=stage)
        found |= ~Q(same) & Q(Exists(used))
    return flag(term, found & ~Q(Exists(carrying())))


def _findings(term: Term) -> Q:
    """Open ones on the model or a version; a priority means as urgent as that or more."""
    rows = open_findings()
    if term.value.lower() not in (*FLAGS, "any"):
        priority = term.value.upper()
        if priority not in Priority.values or term.op != "=":
            known = ", ".join(Priority.values)
            raise wrong(term, f"Write findings:yes, findings:no, or a priority: {known}.")
        rows, term = rows.at_least(priority), Term(term.kind, term.name, "=", ("yes",))
    models, versions = (
        rows.filter(subject_kind=each._meta.label_lower).values("subject_key")
        for each in (RegisteredModel, RegistryEntry)
    )
    with_findings = (
        RegistryEntry.objects.alias(key=Cast("pk", CharField()))
        .filter(key__in=versions)
        .values("model_id")
    )
    of_models = (
        RegisteredModel.objects.alias(key=Cast("pk", CharField()))
        .filter(key__in=models)
        .values("pk")
    )
    return flag(term, Q(pk__in=of_models) | Q(name__in=with_findings))


_ATTRIBUTES: dict[str, Callable[[Term], Q]] = {
    "name": column("name"),
    "stage": _stage,
    "alias": _alias,
    "experiment": column("experiment__experiment_id"),
    "user": _user,
    "policy": _policy,
    "drift": _drift,
    "findings": _findings,
    "version": lambda term: number(term, NEWEST),
    "updated": moment("updated_in_mlflow"),
    "created": moment("created_in_mlflow"),
    "deleted": lambda term: flag(term, Q(deleted_in_mlflow=True)),
    "hidden": lambda term: flag(term, Q(hidden_since__isnull=False)),
}
