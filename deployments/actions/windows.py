"""Shadow windows: opened with a shadow deployment, judged again and again, closed or voided."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from deployments import trail_events
from deployments.choices import WindowState
from deployments.evidence import digest_changed, verdict_on
from deployments.models import Deployment, ShadowLook, ShadowWindow
from deployments.policies import may_evaluate_window, may_void_window
from deployments.shadow.evidence import ShadowLimits
from e2i_site.core.errors import Conflict, InvalidInput
from e2i_site.trail.record import record
from registry.actions.refresh_gates import refresh_gates
from registry.choices import UNDECIDED, Stage
from registry.models import Promotion, PromotionPolicy

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def open_window(
    *, deployment: Deployment, policy: PromotionPolicy, limits: ShadowLimits, actor: User | None
) -> ShadowWindow:
    """Open a window with frozen limits, inside the caller's transaction."""
    window = ShadowWindow.objects.create(
        deployment=deployment,
        entry=deployment.entry,
        artifact_digest=deployment.artifact_digest,
        policy=policy,
        limits=limits.to_json(),
        opened_at=timezone.now(),
    )
    record(
        trail_events.WINDOW_OPENED,
        actor=actor,
        subject=window,
        new={"policy": str(policy), "limits": window.limits, "digest": window.artifact_digest},
    )
    return window


def evaluate_window(
    *, window: ShadowWindow, actor: User | None = None, now: datetime | None = None
) -> ShadowWindow:
    """Judge an open window by what was measured so far, and keep the verdict.

    A changed verdict is a look of its own, goes to the trail and re-evaluates the promotions that
    wait for it. Other bytes void the window. Raises Refused for a person who may not.
    """
    if actor is not None:
        may_evaluate_window(actor, window).enforce()
    if digest_changed(window):
        reason = "The version's files changed; what was measured is about other bytes."
        return void_window(window=window, actor=None, reason=reason)
    now = now or timezone.now()
    evidence, verdict = verdict_on(window, now)
    with transaction.atomic():
        stored = ShadowWindow.objects.select_for_update(of=("self",)).get(pk=window.pk)
        if stored.state != WindowState.OPEN:
            return stored
        changed = stored.verdict != verdict.state
        old, stored.verdict = stored.verdict, verdict.state
        stored.verdict_detail = verdict.to_json()
        stored.evaluated_at = now
        stored.save(update_fields=["verdict", "verdict_detail", "evaluated_at"])
        if changed or actor is not None:
            ShadowLook.objects.create(
                window=stored,
                at=now,
                requests=evidence.requests,
                verdict=verdict.state,
                detail=verdict.to_json(),
            )
        if changed:
            record(
                trail_events.WINDOW_JUDGED,
                actor=actor,
                subject=stored,
                old={"verdict": old},
                new={"verdict": verdict.state, "requests": evidence.requests},
                reason=verdict.sentence,
            )
    if changed:
        _refresh_waiting(stored)
    return stored


def close_window(*, deployment: Deployment, actor: User | None, reason: str) -> None:
    """End the deployment's open window, if it has one; its last verdict stays."""
    window = ShadowWindow.objects.filter(deployment=deployment, state=WindowState.OPEN).first()
    if window is None:
        return
    evidence, verdict = verdict_on(window)
    _end(window, WindowState.CLOSED, reason)
    ShadowWindow.objects.filter(pk=window.pk).update(
        verdict=verdict.state, verdict_detail=verdict.to_json(), evaluated_at=evidence.until
    )
    record(
        trail_events.WINDOW_CLOSED,
        actor=actor,
        subject=window,
        new={"verdict": verdict.state, "requests": evidence.requests},
        reason=reason,
    )


def void_window(*, window: ShadowWindow, actor: User | None, reason: str) -> ShadowWindow:
    """Declare that the window's evidence does not count. Raises Refused or InvalidInput."""
    if not reason.strip():
        raise InvalidInput("Say why the evidence does not count.", field="reason")
    may_void_window(actor, window).enforce()
    with transaction.atomic():
        _end(window, WindowState.VOID, reason.strip())
        record(trail_events.WINDOW_VOIDED, actor=actor, subject=window, reason=reason.strip())
    window.refresh_from_db()
    _refresh_waiting(window)
    return window


def _end(window: ShadowWindow, state: WindowState, reason: str) -> None:
    ended = ShadowWindow.objects.filter(pk=window.pk, state=WindowState.OPEN).update(
        state=state, state_reason=reason[:300], closed_at=timezone.now()
    )
    if not ended:
        raise Conflict("The shadow window is not open any more.")


def _refresh_waiting(window: ShadowWindow) -> None:
    waiting = Promotion.objects.filter(
        entry=window.entry_id, to_stage=Stage.PRODUCTION, state__in=UNDECIDED
    )
    for promotion in waiting:
        refresh_gates(promotion=promotion)
