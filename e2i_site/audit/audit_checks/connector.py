"""Phase 1: the connector reaches MLflow, its breaker behaved, names follow the rule."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, Subject, SubjectOutcome, check
from e2i_site.mlflow_connector import naming
from e2i_site.mlflow_connector.breaker import CLOSED, OPEN_SECONDS
from e2i_site.mlflow_connector.delivery import JOURNAL_TAG
from e2i_site.mlflow_connector.errors import Unreachable

if TYPE_CHECKING:
    from e2i_site.mlflow_connector.breaker import BreakerSnapshot

#: Runs that are missing are looked at one by one.
MOST_LOOKS = 20
SERVER = Subject("mlflow.server", "tracking", "MLflow")
# How long a job may take to notice that its worker died, and to take its run up again.
TAKE_UP = timedelta(minutes=10)
BREAKER = Subject("mlflow.breaker", "breaker", "Circuit breaker")


@check(
    "1.1",
    phase=1,
    title="MLflow answers, and its experiments and registry can be read",
    remediation="Start MLflow or correct MLFLOW_TRACKING_URI, and see that E2I's account may read "
    "everything. What waits to be written is kept and delivered when it answers.",
    priority=Priority.P1,
)
def server_is_usable(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Version, experiments and registered models come back."""
    begun = time.perf_counter()
    try:
        server = context.connector.server_info()
        counts = {
            "experiments": len(context.mlflow.experiments),
            "registered_models": len(context.mlflow.models),
        }
    except Unreachable as error:
        yield context.failed(SERVER, f"It cannot be reached: {error}")
        return
    evidence = {
        "url": server.url,
        "version": server.version,
        "seconds": round(time.perf_counter() - begun, 3),
        **counts,
    }
    if hidden := _hidden(context):
        evidence["hidden"] = hidden
        message = f"MLflow hides {len(hidden)} things from E2I's account that others refer to."
        yield context.failed(SERVER, message, evidence=evidence)
    elif (account := context.connector.identity()) and not account.is_admin:
        evidence["account"] = account.name
        message = f"MLflow shows {account.name} only what it may read; whether that is all, only "
        yield context.inconclusive(
            SERVER, f"{message}an administrator's account can tell.", evidence=evidence
        )
    else:
        yield context.passed(SERVER, f"MLflow {server.version} answers.", evidence=evidence)


def _hidden(context: CheckContext) -> list[str]:
    """Runs that versions came from and that are there, but not for us; a few are looked at."""
    named = sorted({each.run_id for each in context.mlflow.versions.values() if each.run_id})
    known = context.mlflow.runs(named)
    missing = [run_id for run_id in named if run_id not in known][:MOST_LOOKS]
    return [f"run {each}" for each in missing if context.connector.hides("run", each)]


@check(
    "1.2",
    phase=1,
    title="No run is left running in MLflow by a process that died",
    remediation="The job that owns the run is taken up again and closes it. If nothing owns it any "
    "more, end it in MLflow as KILLED.",
    priority=Priority.P2,
)
def no_orphaned_run(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Each running run of E2I has a journal whose writer lives on this installation."""
    pending = {each.journal_id: each for each in context.connector.pending_journals()}
    active = [
        each.experiment_id
        for each in context.mlflow.experiments.values()
        if each.lifecycle_stage != "deleted"
    ]
    running = context.connector.iter_runs(
        active, filter="attributes.status = 'RUNNING'", view="ACTIVE_ONLY"
    )
    for run in running:
        if not (journal_id := run.tags.get(JOURNAL_TAG)):
            continue
        subject = Subject("mlflow.run", run.run_id, run.name or run.run_id)
        journal = pending.get(journal_id)
        if journal and journal.writing:
            yield context.passed(subject, "Its process lives.")
        elif journal and journal.ended:
            yield context.inconclusive(subject, "It ended here; MLflow has yet to be told.")
        elif run.start_time and context.now - run.start_time < TAKE_UP:
            yield context.inconclusive(subject, "Its process is gone; its job may take it up.")
        else:
            evidence = {"journal": journal_id, "started": run.start_time}
            yield context.failed(subject, "Its process died and left it.", evidence=evidence)


@check(
    "1.3",
    phase=1,
    title="The circuit breaker is closed, and every opening ended by the rule",
    remediation="While it is open, E2I keeps what has to be written and shows cached data. Bring "
    "MLflow back; the breaker closes by itself after two successful trial calls.",
    priority=Priority.P2,
)
def breaker_recovered(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Lists the openings; an open breaker is degraded but honest, a broken rule is not."""
    breaker = context.connector.breaker()
    evidence = {
        "state": breaker.state,
        "openings_total": breaker.openings_total,
        "openings": [
            {
                "opened": _moment(each.opened_at),
                "closed": _moment(each.closed_at),
                "reason": each.reason,
            }
            for each in breaker.openings
        ],
    }
    if broken := _broken_rule(breaker):
        yield context.failed(BREAKER, broken, evidence=evidence)
    elif breaker.state != CLOSED:
        message = f"It is {breaker.state.replace('_', ' ')} after {breaker.failures} failures."
        yield context.failed(BREAKER, message, evidence=evidence, priority=Priority.P4)
    else:
        message = f"Closed; it opened {breaker.openings_total} times so far."
        yield context.passed(BREAKER, message, evidence=evidence)


def _broken_rule(breaker: BreakerSnapshot) -> str:
    for number, opening in enumerate(breaker.openings, start=1):
        is_last = number == len(breaker.openings)
        if opening.closed_at is None:
            if not is_last or breaker.state == CLOSED:
                return f"The opening of {_moment(opening.opened_at)} has no end."
        elif opening.closed_at - opening.opened_at < OPEN_SECONDS:
            return f"The opening of {_moment(opening.opened_at)} ended too early."
    return ""


@check(
    "1.4",
    phase=1,
    title="Names of E2I's experiments and models in MLflow follow the rule",
    remediation="Rename it in MLflow to e2i_{agent_type}_{experiment_id} (experiments) or "
    "e2i_{experiment_id}_{algorithm} (models). A prefix is never applied twice.",
    priority=Priority.P3,
)
def names_conform(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Whatever begins with the prefix has the whole form; other people's names are theirs."""
    for experiment in context.mlflow.experiments.values():
        if not experiment.name.startswith(naming.PREFIX):
            continue
        if experiment.lifecycle_stage == "deleted":
            continue
        subject = Subject("mlflow.experiment", experiment.experiment_id, experiment.name)
        if naming.conforms(experiment.name):
            yield context.passed(subject)
        else:
            yield context.failed(subject, "The experiment's name does not follow the rule.")
    for model in context.mlflow.models.values():
        if not model.name.startswith(naming.PREFIX):
            continue
        subject = Subject("mlflow.model", model.name, model.name)
        if naming.model_conforms(model.name):
            yield context.passed(subject)
        else:
            yield context.failed(subject, "The model's name does not follow the rule.")


def _moment(seconds: float | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None
