"""Running checks: each on its own, every outcome kept, nothing assumed when nothing was seen."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from e2i_site.audit import findings, registry
from e2i_site.audit.choices import Outcome, Priority, RunStatus, worst
from e2i_site.audit.mlflow_view import MlflowView
from e2i_site.audit.models import AuditRun, CheckResult, Finding, SubjectResult
from e2i_site.audit.registry import Check, CheckContext, SubjectOutcome
from e2i_site.core.errors import InvalidInput
from e2i_site.mlflow_connector.errors import Unreachable

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

BATCH = 1000
# Passed outcomes of single subjects are kept this long; failures and the counts stay for ever.
KEEP_PASSED = timedelta(days=7)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """What a check said. `message` is the reason of an error or of a check cut short."""

    outcome: Outcome
    outcomes: tuple[SubjectOutcome, ...]
    message: str
    seconds: float

    @property
    def is_conclusive(self) -> bool:
        """True when the check looked at everything it wanted to look at."""
        return not self.message and all(
            each.outcome is not Outcome.INCONCLUSIVE for each in self.outcomes
        )


def evaluate(check: Check, mlflow: MlflowView | None = None) -> Evaluation:
    """Run one check. It never raises: a crash is an error, MLflow away is inconclusive."""
    begun = time.perf_counter()
    seen: dict[tuple[str, str], SubjectOutcome] = {}
    own, message = [], ""
    try:
        for outcome in map(findings.storable, check.function(CheckContext(check, mlflow))):
            key = (outcome.subject.kind, outcome.subject.key)
            seen[key] = _merge(seen[key], outcome) if key in seen else outcome
    except Unreachable as error:
        own, message = [Outcome.INCONCLUSIVE], f"MLflow could not be asked: {error}"
    except Exception as error:
        logger.exception("Check %s crashed", check.id)
        own, message = [Outcome.ERROR], f"The check crashed: {type(error).__name__}: {error}"
    message = findings.storable_text(message)
    overall = worst([*own, *(each.outcome for each in seen.values())])
    return Evaluation(overall, tuple(seen.values()), message, time.perf_counter() - begun)


def _merge(first: SubjectOutcome, second: SubjectOutcome) -> SubjectOutcome:
    """Several answers about one subject are one answer: the worst, with all their words."""
    outcome = worst([first.outcome, second.outcome])
    telling = [each for each in (first, second) if each.outcome is outcome]
    priorities = [each.priority for each in telling if each.priority]
    return replace(
        telling[0],
        message=" ".join(dict.fromkeys(each.message for each in telling if each.message)),
        evidence={key: value for each in telling for key, value in each.evidence.items()},
        priority=min(priorities) if priorities else None,
    )


def prepare(
    *,
    phase: int | None = None,
    check_id: str | None = None,
    started_by: User | None = None,
    job_id: int | None = None,
) -> AuditRun:
    """The row of a run that is about to begin. InvalidInput when it would run no check."""
    checks = registry.select(phase=phase, check_id=check_id)
    if not checks:
        what = f"check {check_id!r}" if check_id else f"phase {phase}"
        known = ", ".join(check.id for check in registry.all_checks())
        raise InvalidInput(f"There is no {what}. Known checks: {known}.")
    return AuditRun.objects.create(
        phase=phase,
        check_id=check_id or "",
        started_by=started_by,
        job_id=job_id,
        checks_total=len(checks),
        beat_at=timezone.now(),
    )


def execute(run: AuditRun, progress: Progress | None = None) -> AuditRun:
    """Run what is left of `run` and close it. Called again after a crash, it goes on.

    `progress(title, done, total)` is called before each check and may raise to stop.
    """
    if run.is_finished:
        return run
    AuditRun.objects.abandon_silent(timezone.now())
    run.status, run.started_at = RunStatus.RUNNING, run.started_at or timezone.now()
    run.beat_at = timezone.now()
    run.save(update_fields=["status", "started_at", "beat_at"])
    done = set(run.results.values_list("check_id", flat=True))
    checks = registry.select(phase=run.phase, check_id=run.check_id or None)
    mlflow = MlflowView()
    for number, check in enumerate(checks):
        if progress:
            progress(f"{check.id} {check.title}", number, len(checks))
        if check.id not in done:
            _keep(run, check, evaluate(check, mlflow))
    _close(run)
    return run


def abandon(run: AuditRun) -> None:
    """Close a run that was stopped; what it found stays."""
    run.status, run.finished_at = RunStatus.ABANDONED, timezone.now()
    run.save(update_fields=["status", "finished_at"])


def _keep(run: AuditRun, check: Check, evaluation: Evaluation) -> None:
    """Store the outcomes; again when another audit opened one of the findings meanwhile.

    What the database does not take is an error of this check, and touches no finding.
    """
    for _ in range(2):
        try:
            return _store(run, check, evaluation)
        except (IntegrityError, DataError, ValueError) as error:
            refused = error
    logger.error("Outcomes of check %s could not be stored", check.id, exc_info=refused)
    message = f"Its outcomes could not be stored: {type(refused).__name__}: {refused}"
    error_alone = Evaluation(Outcome.ERROR, (), findings.storable_text(message), evaluation.seconds)
    return _store(run, check, error_alone)


@transaction.atomic
def _store(run: AuditRun, check: Check, evaluation: Evaluation) -> None:
    now = timezone.now()
    counted = Counter(each.outcome for each in evaluation.outcomes)
    result = CheckResult.objects.create(
        run=run,
        check_id=check.id,
        phase=check.phase,
        item=check.item,
        title=check.title,
        remediation=check.remediation,
        priority=check.priority,
        outcome=evaluation.outcome,
        message=evaluation.message,
        subjects=len(evaluation.outcomes),
        passed=counted[Outcome.PASS],
        failed=counted[Outcome.FAIL],
        inconclusive=counted[Outcome.INCONCLUSIVE],
        seconds=evaluation.seconds,
        at=now,
    )
    found = findings.update(
        run, check, evaluation.outcomes, conclusive=evaluation.is_conclusive, now=now
    )
    SubjectResult.objects.bulk_create(
        (
            SubjectResult(
                result=result,
                subject_kind=each.subject.kind,
                subject_key=each.subject.key,
                subject_label=each.subject.label[:300],
                subject_url=each.subject.url,
                outcome=each.outcome,
                priority=each.priority,
                message=each.message,
                evidence=findings.plain(each.evidence),
                finding=found.get((each.subject.kind, each.subject.key)),
            )
            for each in evaluation.outcomes
        ),
        batch_size=BATCH,
    )
    AuditRun.objects.filter(pk=run.pk).update(beat_at=now)


@transaction.atomic
def _close(run: AuditRun) -> None:
    now = timezone.now()
    if run.is_full:
        findings.resolve_orphans(run, now)
    _forget_passed(run)
    checks = Counter(run.results.values_list("outcome", flat=True))
    still_open = Counter(Finding.objects.open(now).values_list("priority", flat=True))
    run.counts = {
        "checks": {outcome: checks[outcome] for outcome in Outcome.values},
        "subjects": sum(run.results.values_list("subjects", flat=True)),
        "open_findings": {priority: still_open[priority] for priority in Priority.values},
    }
    run.status, run.finished_at, run.beat_at = RunStatus.FINISHED, now, now
    run.save(update_fields=["counts", "status", "finished_at", "beat_at"])


def _forget_passed(run: AuditRun) -> None:
    old = SubjectResult.objects.filter(
        outcome=Outcome.PASS, result__run__finished_at__lt=timezone.now() - KEEP_PASSED
    )
    old.exclude(result__run=run).delete()
