"""Store pages of runs, and find out which runs MLflow does not have any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from e2i_site.mlflow_connector.errors import Busy
from e2i_site.mlflow_connector.sources import Page, RestSource, Slice
from registry.sync.session import Session
from training.models import TrainingRun
from training.sync import RunMirror
from training.sync.hidden import gone

IDS_A_SEARCH = 200
EXPERIMENTS_A_SEARCH = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def store(page: Page, mirror: RunMirror, session: Session, *, new: bool = False) -> None:
    """Mirror a page; rows in its range whose run is not in MLflow any more are marked, but for
    those that MLflow hides from our account.

    Args:
        new: nothing was mirrored before, so that nothing can be missing.
    """
    mirror.mirror(page.records)
    if new or not (missing := _missing(page)):
        return
    # Rows of ours can have another start than MLflow, and runs come while pages are read.
    there = fetch(session, page.slice.experiment_ids, sorted(missing), mirror)
    rows = TrainingRun.objects.filter(mlflow_run_id__in=list(missing - there))
    lost, hidden = gone("run", rows.values_list("mlflow_run_id", "mlflow_experiment_id"))
    mirror.mark_gone(lost)
    session.hidden(hidden)


def fetch(
    session: Session, experiment_ids: Sequence[str], run_ids: Sequence[str], mirror: RunMirror
) -> set[str]:
    """Mirror these runs; returns the ids of those that MLflow has."""
    found = set()
    for begin in range(0, len(run_ids), IDS_A_SEARCH):
        listed = ", ".join(f"'{each}'" for each in run_ids[begin : begin + IDS_A_SEARCH])
        found |= search(session, experiment_ids, f"attributes.run_id IN ({listed})", mirror)
    return found


def search(
    session: Session,
    experiment_ids: Sequence[str],
    filter: str,
    mirror: RunMirror,
    *,
    view: str = "ALL",
) -> set[str]:
    """Mirror what a search finds; returns the ids of the runs.

    An experiment that cannot be searched keeps no other from it: it has to be read again whole.

    Raises:
        Busy: MLflow has too much to do.
        BreakerOpen: MLflow does not answer.
    """
    found: set[str] = set()
    groups = [Slice(tuple(some), filter=filter, view=view) for some in _groups(experiment_ids)]
    for outcome in RestSource(session.connector, readers=1).runs(groups):
        session.goes_on()
        if isinstance(outcome, Page):
            found |= outcome.ids
            mirror.mirror(outcome.records)
        elif isinstance(outcome.error, Busy):
            raise outcome.error
        else:
            session.failed(outcome)
    return found


def present() -> QuerySet[TrainingRun]:
    """Rows of runs that MLflow has, in no order: for one SQLite would look through all."""
    rows = TrainingRun.objects.filter(mlflow_run_id__isnull=False, deleted_in_mlflow=False)
    return rows.order_by()


def _missing(page: Page) -> set[str]:
    """Runs that should have been in the page."""
    rows = present().filter(mlflow_experiment__mlflow_id__in=page.slice.experiment_ids)
    if not page.is_whole:
        low, high = _instant(page.low), _instant(page.high)
        rows = rows.filter(started_at__isnull=False)
        if low is not None:
            rows = rows.filter(started_at__gte=low)
        if high is not None:
            rows = rows.filter(started_at__lt=high)
    return {str(each) for each in rows.values_list("mlflow_run_id", flat=True)} - page.ids


def _instant(milliseconds: int | None) -> datetime | None:
    """As a date; the last or first one for starts beyond all dates, which MLflow takes."""
    if milliseconds is None:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return _LAST if milliseconds > 0 else _FIRST


def _groups(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    for begin in range(0, len(ids), EXPERIMENTS_A_SEARCH):
        yield ids[begin : begin + EXPERIMENTS_A_SEARCH]
