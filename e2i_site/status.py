"""The state of the system that every page shows: does MLflow answer, how old is what we show.

Reads our own tables only; never calls MLflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import F, Func, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from e2i_site.activity.models import WebhookState
from e2i_site.audit.models import AuditRun
from e2i_site.jobs.breaker_store import NAME as BREAKER
from e2i_site.jobs.models import BreakerRecord, Job
from e2i_site.mlflow_connector.breaker import CLOSED, HALF_OPEN, OPEN, OPEN_SECONDS, BreakerData
from registry.models import SyncState

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
    since: datetime | None = None  # it has not answered

    @property
    def blocked(self) -> bool:
        return self.state != CLOSED


@dataclass(frozen=True)
class SiteStatus:
    """Times are None where it never happened. `sync_error` is that of the last attempt."""

    breaker: BreakerStatus
    synced_at: datetime | None = None
    sync_error: str = ""
    narrow_account: str = ""  # MLflow shows us only what this account of ours may read
    audited_at: datetime | None = None
    audit_run: int | None = None
    jobs_unfinished: int = 0


def breaker_status(data: dict[str, Any] | None, synced_at: datetime | None) -> BreakerStatus:
    """What the breaker's stored state means to people."""
    breaker = BreakerData.from_dict(data or {})
    icon = "plug-connected"
    if breaker.state == OPEN:
        retry_at = datetime.fromtimestamp(breaker.opened_at, tz=UTC) + timedelta(
            seconds=OPEN_SECONDS
        )
        reason = breaker.openings[-1].reason if breaker.openings else ""
        return BreakerStatus(
            OPEN,
            "not answering",
            f"The circuit breaker is open. {reason}".strip(),
            "bad",
            "plug-connected-x",
            retry_at if retry_at > timezone.now() else None,
            _since(breaker),
        )
    if breaker.state == HALF_OPEN:
        words = "Trial calls are under way."
        return BreakerStatus(HALF_OPEN, "being tried", words, "warn", icon, since=_since(breaker))
    if breaker.failures:
        words = f"Failed calls in a row: {breaker.failures}."
        return BreakerStatus(CLOSED, "failing", words, "warn", icon)
    if synced_at is None:
        return BreakerStatus(CLOSED, "not read yet", "It was never mirrored.", "quiet", icon)
    return BreakerStatus(CLOSED, "answering", "The circuit breaker is closed.", "good", icon)


def _since(breaker: BreakerData) -> datetime | None:
    """When the present opening began; trials that fail only prolong it."""
    last = breaker.openings[-1] if breaker.openings else None
    return datetime.fromtimestamp(last.opened_at, tz=UTC) if last and not last.closed_at else None


def site_status() -> SiteStatus:
    """The present state, at most `CACHE_SECONDS` old; one query, four before the first sync."""
    found: SiteStatus | None = cache.get(CACHE_KEY)
    if found is None:
        found = _read()
        cache.set(CACHE_KEY, found, CACHE_SECONDS)
    return found


def _read() -> SiteStatus:
    breaker = BreakerRecord.objects.filter(name=BREAKER).values("data")
    audits = AuditRun.objects.finished().full().order_by("-id")
    asked = Job.objects.unfinished().exclude(key__startswith="every:").order_by()
    counted = asked.annotate(number=Func(F("pk"), function="COUNT")).values("number")
    narrow = WebhookState.objects.filter(sees_everything=False).values("account")
    # Facts of other tables beside the one row of this, so that all of it is one query.
    row = (
        SyncState.objects.filter(source="mlflow")
        .annotate(
            breaker=Subquery(breaker),
            audited_at=Subquery(audits.values("finished_at")[:1]),
            audit_run=Subquery(audits.values("pk")[:1]),
            jobs=Subquery(counted),
            narrow=Subquery(narrow[:1]),
        )
        .values("succeeded_at", "error", "breaker", "audited_at", "audit_run", "jobs", "narrow")
        .first()
    )
    if row is None:
        last = audits.only("finished_at").first()
        data = breaker.values_list("data", flat=True).first()
        return SiteStatus(
            breaker=breaker_status(data, None),
            audited_at=last.finished_at if last else None,
            audit_run=last.pk if last else None,
            jobs_unfinished=asked.count(),
        )
    return SiteStatus(
        breaker=breaker_status(row["breaker"], row["succeeded_at"]),
        synced_at=row["succeeded_at"],
        sync_error=row["error"],
        narrow_account=row["narrow"] or "",
        audited_at=row["audited_at"],
        audit_run=row["audit_run"],
        jobs_unfinished=row["jobs"] or 0,
    )


def status_of_site(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `site_status`, for people who are signed in; read when first used."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"site_status": None}
    return {"site_status": SimpleLazyObject(site_status)}
