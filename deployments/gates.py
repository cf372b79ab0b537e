"""The gate that a promotion to production passes by shadow evidence."""

from __future__ import annotations

from deployments.choices import WindowState
from deployments.evidence import verdict_on
from deployments.models import ShadowWindow
from deployments.shadow.evidence import ShadowLimits
from deployments.shadow.verdict import State
from registry.choices import Stage
from registry.gates.base import GateContext, Measurement, failed, gate, inconclusive, passed


@gate("shadow_evidence", title="Shadow evidence")
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


def _limits(limits: ShadowLimits) -> str:
    return (
        f"≥ {limits.hours:g} h, ≥ {limits.requests:,} requests, errors < "
        f"{100 * limits.error_rate:g} %, p99 < {limits.p99_ms:g} ms"
    )
