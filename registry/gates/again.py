"""Judging stored evidence by other limits, for the gates where that is sound.

None means that the evidence does not tell: something else was measured, or nothing was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.choices import GateOutcome, worst_of
from registry.gates.base import Reopened, again
from registry.gates.quality import calibrated, judged_slice, largest_gap, metric_limits, within
from registry.gates.serving import LEAST_CALLS, over_limits


@again("metric")
def metric(stored: Reopened) -> GateOutcome | None:
    rows = {row["metric"]: row for row in stored.evidence.get("metrics", ())}
    limits = metric_limits(stored)
    if not rows or not limits or any(_name(key) not in rows for key in limits):
        return None
    if any(rows[_name(key)]["differs"] for key in limits):
        return GateOutcome.FAIL
    confident = bool(stored.parameter("confident"))
    return worst_of(
        within(_measured(rows[_name(key)]), side, limit, confident=confident)
        for key, (side, limit) in limits.items()
    )


@again("champion_comparison")
def champion_comparison(stored: Reopened) -> GateOutcome | None:
    if not stored.evidence:
        # Passed without evidence: nothing was in production to compare with.
        return GateOutcome.PASS if stored.outcome == GateOutcome.PASS else None
    name = stored.parameter("metric")
    if name == stored.earlier("metric"):
        found = stored.evidence
    else:
        found = stored.evidence.get("all_metrics", {}).get(name) or {}
    if found.get("low") is None or found.get("high") is None:
        return None
    return within(found, "minimum", -float(stored.parameter("tolerance")), confident=True)


@again("calibration")
def calibration(stored: Reopened) -> GateOutcome | None:
    if not {"slope", "error"} <= set(stored.evidence):
        return None
    sides = (("slope", "minimum"), ("slope", "maximum"), ("error", "maximum"))
    rows = [calibrated(stored.evidence, stored, *side) for side in sides]
    return worst_of(row["outcome"] for row in rows)


@again("slices")
def slices(stored: Reopened) -> GateOutcome | None:
    found = stored.evidence.get("slices")
    wanted = set(stored.parameter("columns") or ())
    if not found or stored.parameter("metric") != stored.earlier("metric"):
        return None
    limits = {name: stored.parameter(name) for name in ("minimum", "maximum", "gap")}
    present = {row["column"] for row in found}
    if not wanted <= present or all(limit is None for limit in limits.values()):
        return None
    smallest = int(stored.parameter("smallest"))
    rows = [judged_slice(row, smallest, stored) for row in found if row["column"] in wanted]
    gap = largest_gap([row for row in rows if row["outcome"] != GateOutcome.INCONCLUSIVE])
    if limits["gap"] is not None and gap is not None and gap > limits["gap"]:
        return GateOutcome.FAIL
    return worst_of(row["outcome"] for row in rows)


@again("resources")
def resources(stored: Reopened) -> GateOutcome | None:
    found = stored.evidence
    if found.get("problem"):
        return GateOutcome.FAIL
    if "p99_ms" not in found or stored.sample_size is None:
        return None
    if stored.sample_size < LEAST_CALLS:
        return GateOutcome.INCONCLUSIVE
    return GateOutcome.FAIL if over_limits(found, stored) else GateOutcome.PASS


@again("model_card")
def model_card(stored: Reopened) -> GateOutcome | None:
    if stored.outcome == GateOutcome.INCONCLUSIVE:
        return GateOutcome.INCONCLUSIVE  # nobody had written one
    if stored.outcome == GateOutcome.ERROR:
        return None
    filled = all(name in stored.evidence for name in stored.parameter("fields"))
    return GateOutcome.PASS if filled else GateOutcome.FAIL


@again("open_findings")
def open_findings(stored: Reopened) -> GateOutcome | None:
    """Findings were listed up to the old priority; what is beyond it was not looked for."""
    if stored.outcome == GateOutcome.ERROR:
        return None
    was, now = max(stored.earlier("blocking")), max(stored.parameter("blocking"))
    if any(row["priority"] <= now for row in stored.evidence.get("findings", ())):
        return GateOutcome.FAIL
    return GateOutcome.PASS if now <= was else None


@again("model_signature")
def model_signature(stored: Reopened) -> GateOutcome | None:
    if stored.evidence.get("state") != "unsigned":
        return stored.outcome if stored.evidence else None
    return GateOutcome(str(stored.parameter("unsigned")))


@again("dataset")
def dataset(stored: Reopened) -> GateOutcome | None:
    mine = stored.evidence.get("digest")
    name = stored.parameter("name")
    if mine is None:
        return GateOutcome.INCONCLUSIVE if stored.outcome == GateOutcome.INCONCLUSIVE else None
    if name is not None:
        # The same bytes may have other names too: another name tells nothing.
        return GateOutcome.PASS if name == stored.evidence["dataset"] else None
    theirs = stored.evidence.get("champion_digest")
    if theirs is None:
        return stored.outcome if stored.earlier("name") is None else None
    return GateOutcome.PASS if theirs == mine else GateOutcome.FAIL


def _name(key: str) -> str:
    return key.rpartition(" ")[0]


def _measured(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": row["measured"], "low": row["low"], "high": row["high"]}
