"""Mirror MLflow: what anybody logged or registered there becomes rows here.

Experiments and the registry are read whole each time. Of the runs, a full sync reads all; a short
one reads what can have changed, and some of everything else in turn: `covered_since` of the
cursor bounds how old anything here can be.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from django.utils import timezone

from e2i_site.mlflow_connector import count_requests, get_connector
from e2i_site.mlflow_connector.masking import mask_text
from registry.mirror import RegistryMirror
from registry.sync.cursor import Cursor, Sweep
from registry.sync.experiments import mirror_all_experiments
from registry.sync.full import Full
from registry.sync.report import FULL, INCREMENTAL, KINDS, SyncReport
from registry.sync.session import Progress, Session, SyncBusy, claim, finish
from registry.sync.tick import Tick

__all__ = ["KINDS", "Progress", "SyncBusy", "SyncReport", "sync"]


def sync(*, full: bool = False, progress: Progress | None = None) -> SyncReport:
    """Mirror MLflow into our tables. Doing it again changes nothing.

    Args:
        full: read every run; the first sync of a server always does, and one that died goes on.
        progress: called with what is read, how many, and of how many (0: unknown); may raise to
            stop.

    Raises:
        SyncBusy: another sync is under way.
        Unreachable: MLflow does not answer; what was mirrored so far stays.
    """
    connector = get_connector()
    state = claim()
    cursor = Cursor.of(state.cursor, connector.transport.safe_url)
    is_full = full or cursor.is_new or cursor.full is not None
    report = SyncReport(FULL if is_full else INCREMENTAL)
    session = Session(connector, state, cursor, report, progress)
    begun = time.perf_counter()
    try:
        with count_requests() as counter:
            version = _run(session)
    except BaseException as error:
        finish(
            state,
            failed_at=timezone.now(),
            error=mask_text(f"{error}")[:1000],
            cursor=cursor.as_dict(),
        )
        raise
    finally:
        report.seconds, report.requests = time.perf_counter() - begun, counter.value
    finish(state, server_version=version[:40], **_outcome(report, cursor))
    return report


def _outcome(report: SyncReport, cursor: Cursor) -> dict[str, Any]:
    now = timezone.now()
    return {
        "mode": report.mode,
        "succeeded_at": now,
        "error": " ".join(report.problems)[:1000],
        "counts": report.as_dict(),
        "cursor": cursor.as_dict(),
        **({"failed_at": now} if report.problems else {}),
    }


def _run(session: Session) -> str:
    """Mirror everything; returns the server's version."""
    cursor, report, connector = session.cursor, session.report, session.connector
    begun = timezone.now()
    version = connector.server_info().version
    experiments = mirror_all_experiments(session)
    if report.mode == FULL:
        Full(session, experiments).run()
        _registry(session)
        if cursor.full is not None:
            cursor.since = datetime.fromisoformat(cursor.full.begun)
            if not cursor.retry:
                cursor.covered_since = cursor.since
            cursor.sweep = Sweep(total=report.runs.seen)
        cursor.full = None
        return version
    tick = Tick(session)
    complete = tick.run()
    _registry(session)
    tick.sweep()
    if complete:
        cursor.since = begun
    return version


def _registry(session: Session) -> None:
    session.alive("Registry")
    report, before = session.report, session.cursor.registry_at
    mirror = RegistryMirror(report.models, report.versions, before=before)
    asked_at = timezone.now()
    with session.part("Registry"):
        # Both are read before either is stored: half an answer must not look like deletions.
        models = list(session.connector.iter_registered_models())
        versions = list(session.connector.iter_model_versions())
        mirror.mirror_models(models)
        mirror.mirror_versions(versions)
        report.prompts = mirror.prompts
        session.cursor.registry_at = asked_at
