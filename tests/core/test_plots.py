"""Plots are well-formed SVG whose shapes follow the numbers."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2i_site.core import plots

share = st.floats(0, 1)


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)


@given(st.lists(st.tuples(share, share), min_size=1, max_size=30))
def test_curves_stay_inside_the_frame(points: list[tuple[float, float]]) -> None:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    for svg in (
        plots.roc(xs, ys, auc=0.5),
        plots.precision_recall(xs, ys, base=0.5),
        plots.calibration(xs, ys),
    ):
        path = parse(svg).find("path[@class='s1']")
        assert path is not None
        for pair in path.attrib["d"].strip("MZ").split("L"):
            x, y = map(float, pair.split())
            assert plots.LEFT <= x <= plots.WIDTH - plots.RIGHT
            assert plots.TOP <= y <= plots.HEIGHT - plots.BOTTOM


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=40), st.floats(0, 1e6)), min_size=1, max_size=20
    )
)
def test_bars_are_as_long_as_their_values(rows: list[tuple[str, float]]) -> None:
    names = [("".join(c for c in name if c.isprintable()) or "x", v) for name, v in rows]
    widths = [float(r.attrib["width"]) for r in parse(plots.bars(names, title="t")).iter("rect")]
    most = max(value for _, value in names)
    for width, (_, value) in zip(widths, names, strict=True):
        assert width == pytest.approx((value / most if most else 0) * max(widths), abs=0.02)


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=40))
def test_a_sparkline_breaks_at_gaps(values: list[float | None]) -> None:
    svg = plots.sparkline(values, label="Requests")
    known = [value for value in values if value is not None]
    if len(known) < 2:
        assert svg == ""
        return
    path = parse(svg).find("path")
    assert path is not None
    starts = sum(
        1
        for before, value in zip([None, *values], values, strict=False)
        if before is None and value is not None
    )
    assert path.attrib["d"].count("M") == starts


@given(st.lists(st.tuples(share, share, share), min_size=1, max_size=20), st.floats(-2, 2))
def test_intervals_hold_their_values_and_limits_stay_in_the_frame(
    given: list[tuple[float, float, float]], limit: float
) -> None:
    rows = [(f"slice {n}", value, min(pair), max(pair)) for n, (value, *pair) in enumerate(given)]
    drawn = parse(plots.intervals(rows, title="t", limits=[limit], reference=0.5))
    width = float(drawn.attrib["viewBox"].split()[2])
    lines = list(drawn.iter("line"))
    assert len(lines) == len(rows) + 2
    assert len(list(drawn.iter("circle"))) == len(rows)
    assert all(0 <= float(each.attrib[end]) <= width for each in lines for end in ("x1", "x2"))
    alone = parse(plots.intervals([("one", 0.5, None, None)], title="t"))
    assert not list(alone.iter("line"))


def test_a_histogram_needs_one_edge_more_than_counts() -> None:
    with pytest.raises(ValueError, match="2 counts need 3 edges"):
        plots.histogram([0, 1], [3, 4], title="t")


def test_a_confusion_matrix_shows_every_count() -> None:
    svg = plots.confusion([[812, 97], [130, 402]], ["no", "yes"])
    texts = [element.text for element in parse(svg).iter("text")]
    assert {"812", "97", "130", "402"} <= set(texts)
