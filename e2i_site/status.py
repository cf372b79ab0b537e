"""The state of the system that every page shows: does MLflow answer, how old is what we show.

Reads our own tables only; never calls MLflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Subquery
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from e2i_site.jobs.models import BreakerRecord, Job, JobState
from e2i_site.mlflow_connector.breaker import CLOSED, HALF_OPEN, OPEN, OPEN_SECONDS, BreakerData

SYNC_KIND = "mlflow.sync"
BREAKER_NAME = "mlflow"
CACHE_KEY = "e2i.site_status"
CACHE_SECONDS = 3


@dataclass(frozen=True)
class BreakerStatus:
    """The circuit breaker in words. `blocked`: calls to MLflow are refused or on trial."""

    state: str
    words: str
    detail: str
    tone: str
    icon: str
    retry_at: datetime | None = None

    @property
    def blocked(self) -> bool:
        return self.state != CLOSED


@dataclass(frozen=True)
class SiteStatus:
    """`synced_at`: when the last mirroring of MLflow ended well; None before the first."""

    breaker: BreakerStatus
    synced_at: datetime | None


def breaker_status(data: dict[str, Any] | None, synced_at: datetime | None) -> BreakerStatus:
    """What the breaker's stored state means to people."""
    breaker = BreakerData.from_dict(data or {})
    if breaker.state == OPEN:
        opened = datetime.fromtimestamp(breaker.opened_at, tz=UTC)
        reason = breaker.openings[-1].reason if breaker.openings else ""
        return BreakerStatus(
            OPEN,
            "not answering",
            f"The circuit breaker is open. {reason}".strip(),
            "bad",
            "plug-connected-x",
            opened + timedelta(seconds=OPEN_SECONDS),
        )
    if breaker.state == HALF_OPEN:
        return BreakerStatus(
            HALF_OPEN, "being tried", "Trial calls are under way.", "warn", "plug-connected"
        )
    if breaker.failures:
        words = f"{breaker.failures} calls in a row failed."
        return BreakerStatus(CLOSED, "failing", words, "warn", "plug-connected")
    if synced_at is None:
        return BreakerStatus(
            CLOSED, "not tried yet", "No call is known.", "quiet", "plug-connected"
        )
    return BreakerStatus(CLOSED, "answering", "The breaker is closed.", "good", "plug-connected")


def site_status() -> SiteStatus:
    """The present state, at most `CACHE_SECONDS` old; one query, or two before the first sync."""
    found: SiteStatus | None = cache.get(CACHE_KEY)
    if found is None:
        found = _read()
        cache.set(CACHE_KEY, found, CACHE_SECONDS)
    return found


def _read() -> SiteStatus:
    record = BreakerRecord.objects.filter(name=BREAKER_NAME).values("data")
    last = (
        Job.objects.filter(kind=SYNC_KIND, state=JobState.SUCCEEDED)
        .order_by("-id")
        .values_list("finished_at", Subquery(record))
        .first()
    )
    synced_at, data = last or (None, record.values_list("data", flat=True).first())
    return SiteStatus(breaker_status(data, synced_at), synced_at)


def status_of_site(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `site_status`, for people who are signed in; read when first used."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"site_status": None}
    return {"site_status": SimpleLazyObject(site_status)}
