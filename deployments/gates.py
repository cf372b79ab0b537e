"""The gates of a promotion to production: shadow evidence, and a way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from deployments.choices import Environment, WindowState
from deployments.evidence import verdict_on
from deployments.models import Deployment, ShadowWindow
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
from registry.gates.needs import Want

# Files go bad on disk; what they were is looked at again after this long.
RENEW_WAY_BACK = timedelta(days=1)


@gate("shadow_evidence", title="Shadow evidence", reads_shadow_limits=True)
def shadow_evidence(context: GateContext) -> Measurement:
    """The version met the frozen limits on mirrored traffic, measured by the gateway.

    Reads the shadow window of the version and its verdict. Fails when a limit is broken for
    certain; inconclusive without a window of its present stay in shadow, when that is void, with
    other limits than the policy's, or while the traffic does not tell.
    """
    windows = ShadowWindow.objects.of_present_stay(context.entry)
    window = windows.select_related("entry", "policy").first()
    if window is None:
        return inconclusive("No shadow window measured this version.")
    if window.state == WindowState.VOID:
        return inconclusive(
            f"Its window is void: {window.state_reason.rstrip('.')}.",
            evidence={"window": window.pk},
        )
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
        measured_at=evidence.last_request or window.closed_at or window.opened_at,
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


def _way_back(context: GateContext) -> Iterable[Want]:
    if (present := _present(context)) is not None:
        yield Want(
            "rollback_readiness",
            {"digest": present.artifact_digest},
            against=present.entry,
            renew_after=RENEW_WAY_BACK,
        )


@gate("rollback_readiness", title="Ready for a rollback", needs=_way_back)
def rollback_readiness(context: GateContext) -> Measurement:
    """What serves now could take over again: its stored bytes verify, load and answer.

    Reads the stored files of the deployment that serves. Fails when they do not verify, load and
    answer, or nothing serves; inconclusive until that is measured. Passes without a champion.
    """
    champion = context.champion
    if champion is None:
        return passed("The first version for production: there is nothing to go back to.")
    present = _present(context)
    if present is None:
        return failed(f"{champion} is in production, but no deployment of it serves.")
    if champion.deleted_in_mlflow:
        return failed(f"{champion} was deleted in MLflow; no rollback leads back to it.")
    row = context.measured("rollback_readiness")
    details: dict[str, Any] = {
        "measured": f"{champion}, {row.result['rows']} example rows answered",
        "limit": "verifies, loads and answers",
        "sample_size": row.result["rows"],
        "evidence": {"deployment": present.pk, "digest": present.artifact_digest, **row.result},
    }
    if problem := row.result["problem"]:
        return failed(f"{champion} could not take over again: {problem}", **details)
    return passed(f"{champion} verifies, loads and answers its input example.", **details)


def _present(context: GateContext) -> Deployment | None:
    """The deployment that a rollback of the promoted version would put back."""
    serving = Deployment.objects.serving().select_related("entry")
    return serving.filter(entry=context.champion, environment=Environment.PRODUCTION).first()


def _limits(limits: ShadowLimits) -> str:
    return (
        f"≥ {limits.hours:g} h, ≥ {limits.requests:,} requests, errors < "
        f"{100 * limits.error_rate:g} %, p99 < {limits.p99_ms:g} ms"
    )
