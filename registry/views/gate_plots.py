"""Drawings of what a gate measured, and its evidence without what a drawing shows better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.utils.safestring import SafeString

from e2i_site.core import plots

Evidence = Mapping[str, Any]


@dataclass(frozen=True)
class Drawing:
    """`note` says what the lines in it mean."""

    caption: str
    svg: SafeString
    note: str = ""


def drawing_of(gate_id: str, evidence: Evidence, specification: Evidence) -> Drawing | None:
    """The drawing of a gate's evidence; None where it has nothing to draw."""
    draw = _DRAWN.get(gate_id)
    return draw(evidence, specification) if draw else None


def tabular(evidence: Evidence) -> dict[str, Any]:
    """The evidence with bins and points as records, which tables show better than lists."""
    shown = dict(evidence)
    if isinstance(found := shown.pop("histogram", None), Mapping):
        edges = pairwise(found["edges"])
        shown["calls"] = [
            {"from_ms": start, "to_ms": end, "calls": count}
            for (start, end), count in zip(edges, found["counts"], strict=True)
        ]
    if isinstance(between := shown.get("p99_interval_ms"), list):
        shown["p99_interval_ms"] = dict(zip(("low", "high"), between, strict=True))
    if points := shown.pop("points", None):
        names = ("mean_probability", "share_that_came_true", "rows")
        shown["bins"] = [dict(zip(names, point, strict=True)) for point in points]
    return shown


def _slices(evidence: Evidence, specification: Evidence) -> Drawing | None:
    rows = [
        (f"{each['column']} {each['slice']}", each["value"], each["low"], each["high"])
        for each in evidence.get("slices", ())
        if each["value"] is not None
    ]
    given = (specification.get(side) for side in ("minimum", "maximum"))
    limits = [float(limit) for limit in given if limit is not None]
    metric = str(evidence.get("metric", ""))
    if not rows:
        return None
    svg = plots.intervals(rows, title=f"{metric} in each slice", limits=limits)
    return Drawing(f"{metric} in each slice", svg, _note(bool(limits)))


def _compared(evidence: Evidence, specification: Evidence) -> Drawing | None:
    if evidence.get("low") is None or evidence.get("high") is None:
        return None
    metric, champion = evidence["metric"], evidence["champion"]
    title = f"{metric}: how much better than {champion}"
    svg = plots.intervals(
        [("this version", evidence["gain"], evidence["low"], evidence["high"])],
        title=title,
        limits=[-evidence["tolerance"]],
        reference=0.0,
    )
    note = "Line: 95 % interval by a paired bootstrap. Dashed: the most it may be worse, and equal."
    return Drawing(title, svg, note)


def _metrics(evidence: Evidence, specification: Evidence) -> Drawing | None:
    """One drawing for one metric: several have scales of their own."""
    rows = evidence.get("metrics", ())
    if len({each["metric"] for each in rows}) != 1 or rows[0]["measured"] is None:
        return None
    first = rows[0]
    svg = plots.intervals(
        [(first["metric"], first["measured"], first["low"], first["high"])],
        title=f"{first['metric']} on the test rows",
        limits=[each["limit"] for each in rows],
    )
    return Drawing(f"{first['metric']} on the test rows", svg, _note(limited=True))


def _calibration(evidence: Evidence, specification: Evidence) -> Drawing | None:
    points = evidence.get("points")
    if not points:
        return None
    predicted, observed = [p[0] for p in points], [p[1] for p in points]
    return Drawing("Calibration", plots.calibration(predicted, observed), "Dashed: perfect.")


def _latency(evidence: Evidence, specification: Evidence) -> Drawing | None:
    found = evidence.get("histogram")
    if not isinstance(found, Mapping):
        return None
    svg = plots.histogram(found["edges"], found["counts"], title="Latency", x_label="ms a call")
    note = (
        f"p50 {evidence['p50_ms']:.3g} ms, p99 {evidence['p99_ms']:.3g} ms. "
        "What is slower than the p99 is in the last bar."
    )
    return Drawing("Latency of its input example", svg, note)


def _note(limited: bool) -> str:
    return "Lines: 95 % intervals." + (" Dashed: the limit." if limited else "")


_DRAWN: Mapping[str, Callable[[Evidence, Evidence], Drawing | None]] = {
    "slices": _slices,
    "champion_comparison": _compared,
    "metric": _metrics,
    "calibration": _calibration,
    "resources": _latency,
}
