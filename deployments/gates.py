"""The gate that a promotion to production passes by shadow evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployments.choices import WindowState
from deployments.evidence import verdict_on
from deployments.models import ShadowWindow
from deployments.shadow.evidence import ShadowLimits
from deployments.shadow.verdict import State
from registry.choices import GateOutcome, Stage
from registry.gates.base import (
    GateContext,
    Measurement,
    Reopened,
    again,
    failed,
    gate,
    inconclusive,
    passed,
)


@gate("shadow_evidence", title="Shadow evidence", reads_shadow_limits=True)
def shadow_evidence(context: GateContext) -> Measurement:
    """The version met the frozen limits on mirrored traffic, measured by the gateway."""
    window = (
        ShadowWindow.objects.select_related("entry", "policy")
        .filter(entry=context.entry)
        .exclude(state=WindowState.VOID)
        .first()
    )
    if window is None:
        return inconclusive("No shadow window measured this version.")
    rules = context.policy.for_stage(Stage.PRODUCTION) or {}
    if ShadowLimits.from_json(rules.get("shadow") or {}) != ShadowLimits.from_json(window.limits):
        return inconclusive(
            f"The window was opened under {window.policy} with other limits than those of "
            f"{context.policy}.",
            evidence={"window": window.pk, "limits": window.limits},
        )
    evidence, verdict = verdict_on(window)
    outcome = {State.PASS: passed, State.FAIL: failed}.get(verdict.state, inconclusive)
    return outcome(
        f"Shadow window {verdict.sentence}.",
        measured="; ".join(each.sentence.rstrip(".") for each in verdict.criteria),
        limit=_limits(ShadowLimits.from_json(window.limits)),
        sample_size=evidence.requests,
        evidence={"window": window.pk, "verdict": verdict.to_json()},
        # Traffic goes on while people decide; an approval is for the verdict, not for a count.
        binding={
            "window": window.pk,
            "digest": window.artifact_digest,
            "limits": window.limits,
            "verdict": verdict.state,
        },
    )


@again("shadow_evidence")
def shadow_evidence_again(stored: Reopened) -> GateOutcome | None:
    """Judged where it follows from what was certified: floors, and limits that are wider.

    A rate below a limit is below every higher one. Whether it is below a lower one takes the
    requests themselves, which the stored verdict does not hold.
    """
    criteria = {row["key"]: row for row in stored.evidence.get("verdict", {}).get("criteria", ())}
    if not criteria or not stored.shadow_before or not stored.shadow_now:
        return None
    before = ShadowLimits.from_json(stored.shadow_before)
    now = ShadowLimits.from_json(stored.shadow_now)
    if (before.alpha, before.sequential) != (now.alpha, now.sequential):
        return None
    rates = (
        _rate_again(criteria["error_rate"], before.error_rate, now.error_rate),
        _rate_again(criteria["latency_p99"], before.p99_ms, now.p99_ms),
    )
    if GateOutcome.FAIL in rates:
        return GateOutcome.FAIL
    floors = ((criteria["duration"], now.hours), (criteria["requests"], now.requests))
    short = any((row["measured"] or 0) < floor for row, floor in floors)
    if short or GateOutcome.INCONCLUSIVE in rates:
        return GateOutcome.INCONCLUSIVE
    return None if None in rates else GateOutcome.PASS


def _rate_again(row: Mapping[str, Any], before: float, now: float) -> GateOutcome | None:
    outcome = GateOutcome(row["outcome"])
    certified = {GateOutcome.PASS: now > before, GateOutcome.FAIL: now < before}
    return outcome if now == before or certified.get(outcome, False) else None


def _limits(limits: ShadowLimits) -> str:
    return (
        f"≥ {limits.hours:g} h, ≥ {limits.requests:,} requests, errors < "
        f"{100 * limits.error_rate:g} %, p99 < {limits.p99_ms:g} ms"
    )
