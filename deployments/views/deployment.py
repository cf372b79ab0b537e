"""One deployment: does it serve well, may it go further, can it go back?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_safe

from deployments import queries
from deployments.choices import (
    LIVE,
    CanaryState,
    DeploymentStatus,
    VerdictState,
    WindowState,
)
from deployments.evidence import verdict_on
from deployments.models import Canary, Deployment, ShadowWindow, TrafficMinute
from deployments.policies import (
    may_abort_canary,
    may_evaluate_window,
    may_pause_canary,
    may_resume_canary,
    may_retire,
    may_roll_back,
    may_void_window,
)
from deployments.queries import Instance, Traffic
from deployments.shadow.wording import count, percent
from deployments.views.canary import canary_steps
from deployments.views.ladder import ladder
from deployments.views.snippet import snippet
from deployments.views.traffic import DEFAULT_RANGE, RANGES, charts, limits_of, marks
from e2i_site.core.partials import render_page
from registry.views.shadow_plot import ShadowPlot, shadow_plot

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LOOKS_SHOWN = 8
# The watch judges every open window about four times a minute.
FRESH = timedelta(minutes=2)
MOVING = (DeploymentStatus.PENDING, *LIVE)


@dataclass(frozen=True)
class WindowView:
    """A shadow window with its verdict: the stored one, or a fresh one where that is too old."""

    window: ShadowWindow
    verdict: str
    sentence: str
    plot: ShadowPlot | None
    is_stored: bool

    @property
    def words(self) -> str:
        return str(VerdictState(self.verdict).label)

    @property
    def headline(self) -> str:
        """The verdict's sentence as one of its own."""
        words = self.sentence[:1].upper() + self.sentence[1:]
        return words if words.endswith(".") else f"{words}."

    @property
    def tone(self) -> str:
        if self.window.state == WindowState.VOID:
            return "quiet"
        return {VerdictState.PASS: "good", VerdictState.FAIL: "bad"}.get(
            VerdictState(self.verdict), "warn"
        )


@login_required
@require_safe
def deployment(request: HttpRequest, pk: int) -> HttpResponse:
    """The page; htmx asks for its live part every 5 s and for its charts every 30 s."""
    found = get_object_or_404(queries.deployment_for_page(pk))
    target = request.htmx.target if request.htmx else ""  # type: ignore[attr-defined]
    context: dict[str, Any] = {
        "deployment": found,
        "live": found.status in MOVING,
        "notice": notice(found),
        "range": _range(request),
        "ranges": [(key, words, key == _range(request)) for key, (words, _) in RANGES.items()],
        **_rights(request, found),
    }
    now = timezone.now()
    since = now - (queries.RECENT if target == "live" else _span(request))
    minutes = queries.traffic_since([found.pk], since).get(found.pk, [])
    if target != "charts":
        context |= _live(found, minutes, now)
    if target != "live":
        chain = queries.chain(found)
        context |= _charts(found, chain, minutes, since, now) | {"chain": chain}
    if not target:
        context |= _rest(found)
    return render_page(request, "deployments/deployment.html", context, partials=("live", "charts"))


def _rights(request: HttpRequest, found: Deployment) -> dict[str, Any]:
    user: User = request.user  # type: ignore[assignment]
    window, canary = window_of(found), canary_of(found)
    return {
        "may_pause": may_pause_canary(user, canary) if canary else None,
        "may_resume": may_resume_canary(user, canary) if canary else None,
        "may_abort": may_abort_canary(user, canary) if canary else None,
        "may_roll_back": may_roll_back(user, found),
        "may_retire": may_retire(user, found),
        "may_evaluate": may_evaluate_window(user, window) if window else None,
        "may_void": may_void_window(user, window) if window else None,
    }


def _live(found: Deployment, minutes: list[TrafficMinute], now: datetime) -> dict[str, Any]:
    lately = [row for row in minutes if row.minute >= now - queries.RECENT]
    recent = queries.total(lately, queries.RECENT)
    window = window_of(found)
    view = window_view(window) if window else None
    canary = canary_of(found)
    instances = queries.gateway_instances()
    return {
        "ladder": ladder(found),
        "recent": recent,
        "minutes": int(queries.RECENT.total_seconds() // 60),
        "limits": limits_of(found),
        "window": view,
        "canary": canary,
        "steps": canary_steps(canary, now) if canary else (),
        "headline": headline(found, recent, view, instances),
        "holders": [(each, each.holds(found)) for each in instances],
    }


def _span(request: HttpRequest) -> timedelta:
    """How far back the charts go, from the URL."""
    return RANGES[_range(request)][1]


def _range(request: HttpRequest) -> str:
    asked = request.GET.get("range", "")
    return asked if asked in RANGES else DEFAULT_RANGE


def _charts(
    found: Deployment,
    chain: list[Deployment],
    minutes: list[TrafficMinute],
    since: datetime,
    now: datetime,
) -> dict[str, Any]:
    points = queries.series(minutes, since, now)
    return {"charts": charts(points, limits_of(found), marks(chain, since))}


def _rest(found: Deployment) -> dict[str, Any]:
    window = window_of(found)
    answers = found.status == DeploymentStatus.ACTIVE and not found.is_shadow
    return {
        "looks": list(window.looks.all()[:LOOKS_SHOWN]) if window else [],
        "snippet": snippet(found) if answers else None,
    }


def window_of(found: Deployment) -> ShadowWindow | None:
    """The deployment's shadow window, open or not."""
    window: ShadowWindow | None = getattr(found, "shadow_window", None)
    return window


def canary_of(found: Deployment) -> Canary | None:
    """The deployment's canary, under way or not."""
    canary: Canary | None = getattr(found, "canary", None)
    return canary


def window_view(window: ShadowWindow) -> WindowView:
    """The stored verdict while it is fresh or final, else one on what is measured now."""
    now = timezone.now()
    fresh = window.evaluated_at is not None and now - window.evaluated_at < FRESH
    detail: Mapping[str, Any] = window.verdict_detail
    stored = bool(detail) and (fresh or window.state != WindowState.OPEN)
    if not stored:
        detail = verdict_on(window, now)[1].to_json()
    detail = {**detail, "criteria": list(detail.get("criteria") or ())}
    return WindowView(
        window=window,
        verdict=str(detail.get("state", window.verdict)),
        sentence=str(detail.get("sentence", "")),
        plot=shadow_plot({"verdict": detail}),
        is_stored=stored,
    )


def notice(found: Deployment) -> str:
    """What the policy that counts here wants said wherever it counts."""
    window = window_of(found)
    if window is not None:
        return window.policy.notice
    return found.promotion.policy.notice if found.promotion else ""


def headline(
    found: Deployment, recent: Traffic, window: WindowView | None, gateways: Sequence[Instance]
) -> tuple[str, str, str]:
    """(tone, sentence, detail): how the deployment does."""
    status = DeploymentStatus(found.status)
    if found.canary_share:
        paused = found.canary.state == CanaryState.PAUSED
        said = f"It answers {found.canary_share} % of the callers{', and is paused' * paused}."
        return "warn" if paused else "info", said, found.status_reason
    if status in (DeploymentStatus.PENDING, DeploymentStatus.DEPLOYING):
        return "info", "It is being rolled out.", found.status_reason
    if status == DeploymentStatus.FAILED:
        return "bad", "The roll-out failed; what served before serves on.", found.status_reason
    if status == DeploymentStatus.ROLLED_BACK:
        return "warn", "It was rolled back.", found.rollback_reason
    if status == DeploymentStatus.STOPPED:
        return "bad", "It was stopped in an emergency and answers nothing.", found.status_reason
    if status == DeploymentStatus.RETIRED:
        return "quiet", "It is retired and answers nothing.", ""
    if status == DeploymentStatus.DRAINING:
        return "warn", "Another deployment took over; it is kept warm for a way back.", ""
    if not any(each.answers for each in gateways):
        return "bad", "No gateway answers, so nothing reaches it.", found.health_detail
    if found.health_failures:
        times = f"{found.health_failures} time{'s' if found.health_failures > 1 else ''} in a row"
        return "bad", f"Health checks failed {times}.", found.health_detail
    if window is not None:
        return window.tone, window.headline, found.health_detail
    return _serving(recent, limits_of(found), found.health_detail)


def _serving(recent: Traffic, limits: Mapping[str, Any], health: str) -> tuple[str, str, str]:
    if not recent.requests:
        return "quiet", "It answers callers; none came in the last 15 minutes.", health
    rate, p99 = recent.error_rate or 0.0, recent.p99
    said = f"{count(recent.requests)} requests in 15 minutes, {percent(rate)} failed"
    said += f", p99 {p99:.3g} ms." if p99 is not None else "."
    too_many = rate > limits.get("error_rate", 1.0)
    too_slow = p99 is not None and p99 > limits.get("p99_ms", float("inf"))
    if too_many or too_slow:
        what = " and ".join(w for w, on in (("errors", too_many), ("latency", too_slow)) if on)
        return "bad", f"It answers callers, with {what} over the limit.", said
    return (
        "good",
        "It answers callers within its limits." if limits else "It answers callers.",
        said,
    )
