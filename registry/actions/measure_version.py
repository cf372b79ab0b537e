"""Measure what open promotions of a version need, and judge their gates by it."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.models import Job, JobState
from e2i_site.mlflow_connector import Unreachable
from e2i_site.trail.record import record
from registry import trail_events
from registry.choices import UNDECIDED, MeasurementState
from registry.gates.evaluate import missing
from registry.gates.needs import RETRY_AFTER, Want
from registry.measuring.base import Found, Impossible, find
from registry.measuring.bench import Bench
from registry.models import Promotion, RegistryEntry, VersionMeasurement

logger = logging.getLogger(__name__)

KIND = "registry.measure_version"
Progress = Callable[[str, int, int], None]


def ask_for_measurements(promotion: Promotion) -> Job | None:
    """Enqueue the measuring of what the promotion lacks, in the caller's transaction.

    Nothing is asked for while the digest is unknown, nor soon after an attempt that died.
    """
    entry = promotion.entry
    if not entry.artifact_digest or not missing(promotion):
        return None
    subject = f"entry:{entry.pk}"
    died = Job.objects.filter(
        kind=KIND,
        subject=subject,
        state=JobState.FAILED,
        finished_at__gt=timezone.now() - RETRY_AFTER,
    )
    if died.exists():
        return None
    return enqueue(KIND, payload={"entry": entry.pk}, subject=subject, key=f"measure:{entry.pk}")


def measure_version(*, entry_id: int, progress: Progress) -> dict[str, Any]:
    """Answer every open question about the version, each on its own.

    A question that cannot be answered, or whose answering fails, is stored as such and does not
    end the others. Raises `Unreachable` while MLflow does not hand out the files.
    """
    entry = RegistryEntry.objects.select_related(
        "model", "experiment", "training_run__dataset", "training_run__split"
    ).get(pk=entry_id)
    done: list[str] = []
    with tempfile.TemporaryDirectory(prefix="e2i-measure-") as folder:
        bench = Bench(entry, Path(folder))
        wants = _open_questions(entry)
        progress("Asking the models", 0, len(wants))
        bench.prepare(wants)
        for number, want in enumerate(wants):
            progress(f"Measuring {want.kind.replace('_', ' ')}", number, len(wants))
            done.append(_answer(bench, want))
    return {"measured": done}


def _open_questions(entry: RegistryEntry) -> list[Want]:
    undecided = Promotion.objects.filter(entry=entry, state__in=UNDECIDED).select_related(
        "entry__model", "entry__training_run", "policy", "champion"
    )
    wants = {want.key(entry): want for promotion in undecided for want in missing(promotion)}
    return list(wants.values())


def _answer(bench: Bench, want: Want) -> str:
    started, waited = time.perf_counter(), bench.waited
    state, problem, found = MeasurementState.MEASURED, "", Found({})
    try:
        found = find(want.kind).function(bench, want)
    except Unreachable:
        raise
    except Impossible as error:
        state, problem = MeasurementState.IMPOSSIBLE, str(error)
    except Exception as error:
        logger.exception("%s of %s could not be measured", want.kind, bench.entry)
        state, problem = MeasurementState.ERROR, f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - started + bench.waited - waited
    _store(bench.entry, want, state, problem, found, seconds)
    return f"{want.kind}: {state}"


@transaction.atomic
def _store(
    entry: RegistryEntry,
    want: Want,
    state: MeasurementState,
    problem: str,
    found: Found,
    seconds: float,
) -> None:
    row, _ = VersionMeasurement.objects.update_or_create(
        entry=entry,
        key=want.key(entry),
        defaults={
            "kind": want.kind,
            "artifact_digest": entry.artifact_digest,
            "against": want.against,
            "specification": dict(want.specification),
            "state": state,
            "problem": problem,
            "result": _finite(found.result),
            "sample_size": found.sample_size,
            "interval": found.interval,
            "inputs": dict(found.inputs),
            "seconds": seconds,
            "measured_at": timezone.now(),
        },
    )
    record(
        trail_events.VERSION_MEASURED,
        actor=None,
        subject=entry,
        new={"kind": row.kind, "state": state, "digest": entry.artifact_digest, "key": row.key},
        reason=problem,
    )


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: what is not a finite number is not known."""
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
