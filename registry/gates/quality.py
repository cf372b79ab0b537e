"""Gates on how good the version's own answers are, measured on its test rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from registry.choices import GateOutcome
from registry.gates.base import Asking, GateContext, Measurement, failed, gate, inconclusive, passed
from registry.gates.needs import Want
from registry.gates.parameters import Kind, Parameter

# Intervals of 95 %; the same seed and repeats give the same interval.
DEFAULT_TOLERANCE = 0.02
# A recorded metric is the measured one but for the last digits of another library version.
_SAME = 1e-6


def _test_metrics(context: GateContext) -> Iterable[Want]:
    yield Want("test_metrics")


@gate(
    "metric",
    title="Metric against its limit",
    needs=_test_metrics,
    parameters={
        "minimum": Parameter(Kind.NUMBERS, "At least", default=None),
        "maximum": Parameter(Kind.NUMBERS, "At most", default=None),
        "confident": Parameter(
            Kind.FLAG, "The whole interval has to keep the limit", default=False
        ),
    },
)
def metric(context: GateContext) -> Measurement:
    """Metrics measured on the test rows keep their limits, and are those that the run recorded.

    Reads the version's own answers on its test rows, with 95 % intervals. Fails when a limit is not
    kept or the run recorded another value; inconclusive without a limit, or where the interval
    leaves it open and has to be certain.
    """
    row = context.measured("test_metrics")
    limits = metric_limits(context)
    if not limits:
        return inconclusive("The policy names no metric to keep, so none can be kept.")
    rows = [_against(row.result, name, *limit, context) for name, limit in limits.items()]
    first = row.result["metrics"].get(rows[0]["metric"])
    details: dict[str, Any] = {
        "measured": ", ".join(_shown(each["metric"], each["measured"]) for each in rows),
        "limit": ", ".join(f"{_sign(each)} {each['limit']:g}" for each in rows),
        "sample_size": row.sample_size,
        "interval": _interval(first) if first and len(rows) == 1 else None,
        "evidence": {"metrics": rows},
    }
    if different := [each["metric"] for each in rows if each["differs"]]:
        return failed(f"The run recorded another value of {', '.join(different)}.", **details)
    judged = _worst(rows, "metric", details, "on its test rows")
    unknown = [each["metric"] for each in rows if each["measured"] is None]
    if unknown and judged.outcome == GateOutcome.INCONCLUSIVE:
        known = ", ".join(row.result["metrics"])
        problem = row.result["problem"]
        return inconclusive(
            f"Not measured for a {problem} problem: {', '.join(unknown)}; measured are {known}.",
            **details,
        )
    return judged


def metric_limits(context: Asking) -> dict[str, tuple[str, float]]:
    """{"roc_auc minimum": ("minimum", 0.8)} for every limit of the policy."""
    wanted: dict[str, tuple[str, float]] = {}
    for side in ("minimum", "maximum"):
        for name, limit in (context.parameter(side) or {}).items():
            wanted[f"{name} {side}"] = (side, float(limit))
    return wanted


def _against(
    result: Mapping[str, Any], key: str, side: str, limit: float, context: GateContext
) -> dict[str, Any]:
    name = key.rpartition(" ")[0]
    found = result["metrics"].get(name) or {}
    value, claimed = found.get("value"), result["claimed"].get(name)
    differs = (
        value is not None
        and claimed is not None
        and not math.isclose(value, claimed, rel_tol=_SAME, abs_tol=_SAME)
    )
    outcome = within(found, side, limit, confident=bool(context.parameter("confident")))
    return {
        "metric": name,
        "measured": value,
        "low": found.get("low"),
        "high": found.get("high"),
        "recorded": claimed,
        "differs": differs,
        "side": side,
        "limit": limit,
        "outcome": outcome,
    }


def within(found: Mapping[str, Any], side: str, limit: float, *, confident: bool) -> GateOutcome:
    """Confident: the interval decides, and one that holds the limit decides nothing."""
    value = found.get("value")
    low, high = (found.get("low"), found.get("high")) if confident else (value, value)
    if low is None or high is None:
        return GateOutcome.INCONCLUSIVE
    kept = low >= limit if side == "minimum" else high <= limit
    broken = high < limit if side == "minimum" else low > limit
    if kept:
        return GateOutcome.PASS
    return GateOutcome.FAIL if broken else GateOutcome.INCONCLUSIVE


def _worst(
    rows: list[dict[str, Any]], label: str, details: dict[str, Any], where: str
) -> Measurement:
    """Any failure fails, any doubt leaves it open."""
    by = {
        outcome: [str(each[label]) for each in rows if each["outcome"] == outcome]
        for outcome in (GateOutcome.FAIL, GateOutcome.INCONCLUSIVE)
    }
    if names := by[GateOutcome.FAIL]:
        return failed(f"Not kept {where}: {', '.join(names)}.", **details)
    if names := by[GateOutcome.INCONCLUSIVE]:
        return inconclusive(f"Too uncertain {where}: {', '.join(names)}.", **details)
    return passed(f"Kept {where}: {len(rows)} of {len(rows)}.", **details)


def _paired(context: GateContext) -> Iterable[Want]:
    if context.champion is not None:
        yield Want("paired_difference", against=context.champion)


@gate(
    "champion_comparison",
    title="Against the champion",
    needs=_paired,
    parameters={
        "tolerance": Parameter(
            Kind.NUMBER, "Largest loss against the champion", default=DEFAULT_TOLERANCE, minimum=0
        ),
        "metric": Parameter(Kind.TEXT, "Compared by", default=None),
    },
)
def champion_comparison(context: GateContext) -> Measurement:
    """Not worse than the version in production, on the same test rows, with 95 % confidence.

    Reads the paired difference to the champion on the same rows. Fails when it is worse by more
    than the tolerance for certain; inconclusive when the rows do not tell. Passes without a
    champion.
    """
    champion = context.champion
    if champion is None:
        return passed("The first version for production: there is no champion to compare with.")
    row = context.measured("paired_difference")
    run = context.entry.training_run
    name = context.parameter("metric") or (run.primary_metric if run else "")
    found = row.result["metrics"].get(name)
    if found is None or found["low"] is None:
        compared = ", ".join(
            key for key, each in row.result["metrics"].items() if each["low"] is not None
        )
        return inconclusive(
            f"{name or 'The primary metric'} could not be compared; compared are {compared}."
        )
    tolerance = float(context.parameter("tolerance"))
    details: dict[str, Any] = {
        "measured": f"{name} {found['gain']:+.4f} better ({found['low']:+.4f} to "
        f"{found['high']:+.4f})",
        "limit": f"≥ −{tolerance:g} for certain",
        "sample_size": row.sample_size,
        "interval": _interval(found),
        "evidence": {
            "champion": str(champion),
            "metric": name,
            "tolerance": tolerance,
            **found,
            "all_metrics": row.result["metrics"],
        },
    }
    compared = f"{name} {found['value']:.4f} against {found['reference']:.4f} of {champion}"
    outcome = within(found, "minimum", -tolerance, confident=True)
    if outcome == GateOutcome.PASS:
        return passed(f"{compared}: not worse by more than {tolerance:g}.", **details)
    if outcome == GateOutcome.FAIL:
        return failed(f"{compared}: worse by more than {tolerance:g}.", **details)
    return inconclusive(
        f"{compared}: {row.sample_size} test rows do not tell whether it is worse by more than "
        f"{tolerance:g}.",
        **details,
    )


@gate(
    "calibration",
    title="Calibration",
    needs=_test_metrics,
    parameters={
        "slope_minimum": Parameter(Kind.NUMBER, "Slope at least", default=0.8),
        "slope_maximum": Parameter(Kind.NUMBER, "Slope at most", default=1.25),
        "error_maximum": Parameter(
            Kind.NUMBER, "Expected error at most", default=0.1, minimum=0, maximum=1
        ),
        "confident": Parameter(
            Kind.FLAG, "The whole interval has to keep the limits", default=False
        ),
    },
)
def calibration(context: GateContext) -> Measurement:
    """Probabilities mean what they say: slope near 1, small expected error (Cox 1958).

    Reads slope and expected error of the version's probabilities on its test rows. Fails when a
    limit is not kept; inconclusive for a regression, and where the interval has to be certain and
    leaves it open.
    """
    row = context.measured("test_metrics")
    found = row.result.get("calibration")
    if found is None:
        return inconclusive("Only probabilities of classes are calibrated; this is a regression.")
    rows = [
        calibrated(found, context, "slope", "minimum"),
        calibrated(found, context, "slope", "maximum"),
        calibrated(found, context, "error", "maximum"),
    ]
    slope, error = found["slope"], found["error"]
    details: dict[str, Any] = {
        "measured": f"{_shown('slope', slope['value'])}, {_shown('error', error['value'])}",
        "limit": f"slope {rows[0]['limit']:g} to {rows[1]['limit']:g}, error ≤ "
        f"{rows[2]['limit']:g}",
        "sample_size": row.sample_size,
        "interval": _interval(slope),
        "evidence": {"slope": slope, "error": error, "limits": rows, "points": found["points"]},
    }
    return _worst(rows, "what", details, "on its test rows")


def calibrated(found: Mapping[str, Any], context: Asking, what: str, side: str) -> dict[str, Any]:
    """Slope or error of the calibration against one of its limits."""
    limit = float(context.parameter(f"{what}_{side}"))
    confident = bool(context.parameter("confident"))
    return {
        "what": what,
        "side": side,
        "limit": limit,
        "outcome": within(found[what], side, limit, confident=confident),
    }


def _slices(context: GateContext) -> Iterable[Want]:
    yield Want(
        "slices",
        {
            "columns": list(context.parameter("columns")),
            "metric": context.parameter("metric") or "",
        },
    )


@gate(
    "slices",
    title="Slices",
    needs=_slices,
    parameters={
        "columns": Parameter(Kind.TEXTS, "By the columns"),
        "metric": Parameter(Kind.TEXT, "Compared by", default=None),
        "minimum": Parameter(Kind.NUMBER, "At least in every slice", default=None),
        "maximum": Parameter(Kind.NUMBER, "At most in every slice", default=None),
        "gap": Parameter(Kind.NUMBER, "Largest gap between slices", default=None, minimum=0),
        "smallest": Parameter(
            Kind.INTEGER, "Rows that a slice needs to be judged", default=50, minimum=1, unit="rows"
        ),
    },
)
def slices(context: GateContext) -> Measurement:
    """No group of people or cases is served badly: one metric in every slice of named columns.

    Reads one metric in each slice of the test rows. Fails when a slice breaks its limit or two
    differ too much; inconclusive without a limit, or where a slice has too few rows.
    """
    row = context.measured("slices")
    smallest = int(context.parameter("smallest"))
    rows = [judged_slice(each, smallest, context) for each in row.result["slices"]]
    judged = [each for each in rows if each["outcome"] != GateOutcome.INCONCLUSIVE]
    gap, gap_limit = largest_gap(judged), context.parameter("gap")
    if not any(context.parameter(name) is not None for name in ("minimum", "maximum", "gap")):
        return inconclusive("The policy sets no limit for slices, so none can be kept.")
    name = row.result["metric"]
    least = min((each["n"] for each in rows), default=0)
    details: dict[str, Any] = {
        "measured": _slices_shown(name, judged, gap),
        "limit": _slice_limits(context),
        "sample_size": row.sample_size,
        "evidence": {
            "metric": name,
            "smallest_slice": least,
            "gap": gap,
            "slices": rows,
        },
    }
    if failing := [_name(each) for each in rows if each["outcome"] == GateOutcome.FAIL]:
        return failed(f"{name} breaks its limit in {', '.join(failing)}.", **details)
    if gap_limit is not None and gap is not None and gap > gap_limit:
        return failed(f"{name} differs by {gap:.4f} between slices.", **details)
    if small := [_name(each) for each in rows if each["n"] < smallest]:
        return inconclusive(
            f"Cannot be judged: {', '.join(small)}; the smallest slice has {least} rows, "
            f"{smallest} are needed.",
            **details,
        )
    if undefined := [_name(each) for each in rows if each["value"] is None]:
        return inconclusive(
            f"{name} is not defined in {', '.join(undefined)}: not every class is there.", **details
        )
    return passed(f"{name} keeps its limits in all {len(rows)} slices.", **details)


def judged_slice(found: Mapping[str, Any], smallest: int, context: Asking) -> dict[str, Any]:
    """The slice with its outcome; one of fewer than `smallest` rows says nothing."""
    outcome = GateOutcome.PASS
    low, high = context.parameter("minimum"), context.parameter("maximum")
    value = found["value"]
    if found["n"] < smallest or value is None:
        outcome = GateOutcome.INCONCLUSIVE
    elif (low is not None and value < low) or (high is not None and value > high):
        outcome = GateOutcome.FAIL
    return {**found, "outcome": outcome}


def largest_gap(rows: list[dict[str, Any]]) -> float | None:
    """The largest difference between two slices of one column."""
    gaps = []
    for column in {each["column"] for each in rows}:
        values = [each["value"] for each in rows if each["column"] == column]
        gaps.append(max(values) - min(values))
    return max(gaps, default=None)


def _slices_shown(name: str, rows: list[dict[str, Any]], gap: float | None) -> str:
    if not rows:
        return ""
    values = [each["value"] for each in rows]
    return f"{name} {min(values):.3f} to {max(values):.3f}, gap {gap or 0:.3f}"


def _slice_limits(context: GateContext) -> str:
    words = {"minimum": "≥", "maximum": "≤", "gap": "gap ≤"}
    found = ((sign, context.parameter(name)) for name, sign in words.items())
    return ", ".join(f"{sign} {limit:g}" for sign, limit in found if limit is not None)


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['column']} {row['slice']} (n = {row['n']})"


def _interval(found: Mapping[str, Any]) -> dict[str, Any] | None:
    if found.get("low") is None or found.get("high") is None:
        return None
    return {"low": found["low"], "high": found["high"], "level": found.get("level", 0.95)}


def _sign(row: Mapping[str, Any]) -> str:
    return "≥" if row["side"] == "minimum" else "≤"


def _shown(name: str, value: float | None) -> str:
    return f"{name} not measured" if value is None else f"{name} {value:.4f}"
