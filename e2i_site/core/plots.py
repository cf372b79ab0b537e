"""Small plots as SVG made on the server: no script, and they print.

Colours come from classes in components.css. Every function returns markup that is safe: numbers
are formatted here and words are escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

Numbers = Sequence[float]
WIDTH, HEIGHT = 340, 260
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 10, 36


def roc(fpr: Numbers, tpr: Numbers, *, auc: float | None = None, label: str = "") -> SafeString:
    """ROC curve: false and true positive rates in 0..1, with the diagonal of chance."""
    title = _title("ROC curve", label, auc, "area")
    diagonal = _line(_px(0), _py(0), _px(1), _py(1), "reference")
    area = _path([(0.0, 0.0), *zip(fpr, tpr, strict=True), (1.0, 0.0)], "area", close=True)
    return _frame(
        title,
        diagonal + area + _path(list(zip(fpr, tpr, strict=True)), "s1"),
        "False positive rate",
        "True positive rate",
    )


def precision_recall(
    recall: Numbers, precision: Numbers, *, area: float | None = None, base: float | None = None
) -> SafeString:
    """Precision over recall, both 0..1; `base` is the share of positives (a coin's precision)."""
    chance = SafeString("")
    if base is not None:
        chance = _line(_px(0), _py(base), _px(1), _py(base), "reference")
    curve = _path(list(zip(recall, precision, strict=True)), "s1")
    title = _title("Precision and recall", "", area, "area")
    return _frame(title, chance + curve, "Recall", "Precision")


def calibration(predicted: Numbers, observed: Numbers) -> SafeString:
    """Observed share of positives over mean predicted probability, one point a bin, 0..1."""
    points = list(zip(predicted, observed, strict=True))
    dots = format_html_join(
        "",
        '<circle class="dot" cx="{}" cy="{}" r="3.5"/>',
        ((_f(_px(x)), _f(_py(y))) for x, y in points),
    )
    diagonal = _line(_px(0), _py(0), _px(1), _py(1), "reference")
    return _frame(
        "Calibration", diagonal + _path(points, "s1") + dots, "Predicted probability", "Observed"
    )


def scatter(
    points: Sequence[tuple[float, float]], *, title: str, x_label: str = "", y_label: str = ""
) -> SafeString:
    """Dots of (x, y) on one scale for both axes, with the line where both are equal."""
    if not points:
        return SafeString("")
    values = [value for point in points for value in point]
    low, span = min(values), (max(values) - min(values)) or 1
    dots = format_html_join(
        "",
        '<circle class="dot faint" cx="{}" cy="{}" r="2.5"/>',
        ((_f(_px((x - low) / span)), _f(_py((y - low) / span))) for x, y in points),
    )
    ticks = [(share, f"{low + share * span:.3g}") for share in (0, 0.5, 1)]
    diagonal = _line(_px(0), _py(0), _px(1), _py(1), "reference")
    return _frame(title, diagonal + dots, x_label, y_label, x_ticks=ticks, y_ticks=ticks)


def bars(
    rows: Sequence[tuple[str, float]], *, title: str, errors: Numbers | None = None
) -> SafeString:
    """Horizontal bars, one a (name, value ≥ 0), with ± `errors` if given."""
    if not rows:
        return SafeString("")
    row, left, width = 22, 118, 360
    spread = errors or [0.0] * len(rows)
    top = max(value + error for (_, value), error in zip(rows, spread, strict=True))
    scale = (width - left - 52) / (top or 1)
    parts = [
        format_html(
            '<text x="{}" y="{}" text-anchor="end">{}</text>'
            '<rect class="bar" x="{}" y="{}" width="{}" height="13" rx="2"/>'
            '<text x="{}" y="{}">{}</text>',
            left - 8,
            index * row + 15,
            name if len(name) <= 19 else f"{name[:18]}…",
            left,
            index * row + 4,
            _f(max(0.0, value) * scale),
            _f(left + (value + spread[index]) * scale + 6),
            index * row + 15,
            f"{value:.4g}",
        )
        for index, (name, value) in enumerate(rows)
    ]
    if errors:
        parts += [
            _line(
                left + max(0.0, value - error) * scale,
                index * row + 10.5,
                left + (value + error) * scale,
                index * row + 10.5,
                "error-bar",
            )
            for index, ((_, value), error) in enumerate(zip(rows, errors, strict=True))
        ]
    return _svg(title, _join(parts), width, len(rows) * row + 4)


def intervals(
    rows: Sequence[tuple[str, float, float | None, float | None]],
    *,
    title: str,
    limits: Numbers = (),
    reference: float | None = None,
) -> SafeString:
    """A dot a (name, value, low, high) with its interval, where it has one.

    Dashed lines stand at `limits`, a fainter one at `reference`.
    """
    if not rows:
        return SafeString("")
    row, left, width = 22, 148, 420
    marks = [*limits, *([] if reference is None else [reference])]
    shown = [n for _, *numbers in rows for n in numbers if n is not None] + marks
    low, span = min(shown), (max(shown) - min(shown)) or 1

    def at(value: float) -> float:
        return left + (value - low) / span * (width - left - 64)

    bottom = len(rows) * row
    parts = [_line(at(each), 0, at(each), bottom, "limit") for each in limits]
    if reference is not None:
        parts.append(_line(at(reference), 0, at(reference), bottom, "reference"))
    for index, (name, value, start, end) in enumerate(rows):
        middle = index * row + 11
        if start is not None and end is not None:
            parts.append(_line(at(start), middle, at(end), middle, "error-bar"))
        right = at(value if end is None else max(value, end))
        parts.append(
            format_html(
                '<text x="{}" y="{}" text-anchor="end">{}</text>'
                '<circle class="dot" cx="{}" cy="{}" r="4"/><text x="{}" y="{}">{}</text>',
                left - 10,
                middle + 4,
                name if len(name) <= 24 else f"{name[:23]}…",
                _f(at(value)),
                middle,
                _f(right + 8),
                middle + 4,
                f"{value:.4g}",
            )
        )
    return _svg(title, _join(parts), width, bottom + 4)


def histogram(
    edges: Numbers, counts: Sequence[int], *, title: str, x_label: str = ""
) -> SafeString:
    """Bars over the bins that `edges` (n + 1, ascending) bound."""
    if len(edges) != len(counts) + 1:
        raise ValueError(f"{len(counts)} counts need {len(counts) + 1} edges, not {len(edges)}.")
    low, high, most = edges[0], edges[-1], max(counts, default=0)
    span = (high - low) or 1
    drawn = format_html_join(
        "",
        '<rect class="bar" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>',
        (
            (
                _f(_px((start - low) / span) + 0.5),
                _f(_py(count / (most or 1))),
                _f(max(0.5, _px((end - low) / span) - _px((start - low) / span) - 1)),
                _f(_py(0) - _py(count / (most or 1))),
                f"{start:.4g} to {end:.4g}: {count}",
            )
            for (start, end), count in zip(pairwise(edges), counts, strict=True)
        ),
    )
    ticks = [(share, f"{low + share * span:.3g}") for share in (0, 0.5, 1)]
    return _frame(title, drawn, x_label, "Count", x_ticks=ticks, y_ticks=[(0, "0"), (1, str(most))])


def sparkline(values: Sequence[float | None], *, label: str) -> SafeString:
    """A word-sized line of `values`; None is a gap. Empty when there are fewer than two."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 2:
        return SafeString("")
    low, span = min(known), (max(known) - min(known)) or 1
    step = 96 / (len(values) - 1)
    commands, pen, last = [], False, (0.0, 0.0)
    for index, value in enumerate(values):
        if value is None or not math.isfinite(value):
            pen = False
            continue
        last = (index * step, 21 - (value - low) / span * 18)
        commands.append(f"{'L' if pen else 'M'}{_f(last[0])} {_f(last[1])}")
        pen = True
    words = (
        f"{label}: from {known[0]:.4g} to {known[-1]:.4g}, least {low:.4g}, most {max(known):.4g}"
    )
    return format_html(
        '<svg class="plot spark" viewBox="0 0 96 24" role="img" aria-label="{}"><title>{}</title>'
        '<path class="s1" d="{}"/><circle class="dot" cx="{}" cy="{}" r="2"/></svg>',
        words,
        words,
        "".join(commands),
        _f(last[0]),
        _f(last[1]),
    )


def confusion(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> SafeString:
    """Confusion matrix: rows are the true classes, columns the predicted ones."""
    size, left, top = 68, 92, 26
    most = max((max(row, default=0) for row in matrix), default=0) or 1
    cells = format_html_join(
        "",
        '<rect class="cell" x="{}" y="{}" width="{}" height="{}" rx="3" fill-opacity="{}"/>'
        '<text class="big" x="{}" y="{}" text-anchor="middle">{}</text>',
        (
            (
                left + column * size + 1,
                top + row * size + 1,
                size - 2,
                size - 2,
                _f(0.06 + 0.34 * count / most),
                left + column * size + size / 2,
                top + row * size + size / 2 + 5,
                f"{count:,}",
            )
            for row, counts in enumerate(matrix)
            for column, count in enumerate(counts)
        ),
    )
    names = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="end">{}</text>'
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        (
            (
                left - 8,
                top + index * size + size / 2 + 4,
                f"true {name}"[:14],
                left + index * size + size / 2,
                top - 9,
                f"pred. {name}"[:12],
            )
            for index, name in enumerate(labels)
        ),
    )
    side = size * len(labels)
    return _svg("Confusion matrix", cells + names, left + side + 4, top + side + 4)


def _frame(
    title: str,
    content: SafeString,
    x_label: str,
    y_label: str,
    *,
    x_ticks: Sequence[tuple[float, str]] | None = None,
    y_ticks: Sequence[tuple[float, str]] | None = None,
) -> SafeString:
    unit = [(share, f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)]
    grid = [
        format_html(
            '<line class="grid-line" x1="{}" x2="{}" y1="{}" y2="{}"/>'
            '<text x="{}" y="{}" text-anchor="end">{}</text>',
            LEFT,
            WIDTH - RIGHT,
            _f(_py(at)),
            _f(_py(at)),
            LEFT - 6,
            _f(_py(at) + 4),
            words,
        )
        for at, words in y_ticks or unit
    ]
    below = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        ((_f(_px(at)), HEIGHT - BOTTOM + 15, words) for at, words in x_ticks or unit),
    )
    names = format_html(
        '<text x="{}" y="{}" text-anchor="middle">{}</text>'
        '<text transform="translate(10 {}) rotate(-90)" text-anchor="middle">{}</text>',
        (LEFT + WIDTH - RIGHT) / 2,
        HEIGHT - 5,
        x_label,
        (TOP + HEIGHT - BOTTOM) / 2,
        y_label,
    )
    return _svg(title, _join(grid) + below + names + content, WIDTH, HEIGHT)


def _svg(title: str, content: SafeString, width: float, height: float) -> SafeString:
    return format_html(
        '<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        _f(width),
        _f(height),
        title,
        content,
    )


def _join(parts: Sequence[SafeString]) -> SafeString:
    return mark_safe("".join(parts))  # noqa: S308  each part is safe already


def _title(name: str, label: str, figure: float | None, what: str) -> str:
    words = f"{name} {label}".strip()
    return words if figure is None else f"{words}, {what} {figure:.3f}"


def _path(points: Sequence[tuple[float, float]], css: str, *, close: bool = False) -> SafeString:
    drawn = "L".join(f"{_f(_px(x))} {_f(_py(y))}" for x, y in points)
    return format_html('<path class="{}" d="M{}{}"/>', css, drawn, "Z" if close else "")


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> SafeString:
    return format_html(
        '<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>', css, _f(x1), _f(y1), _f(x2), _f(y2)
    )


def _px(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _py(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _f(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
