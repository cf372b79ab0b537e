"""Measured values of a shadow window against their limits, as geometry for a small drawing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WIDTH = 320
# The bar reaches beyond the larger of value and limit by this share, so that both can be seen.
_MARGIN = 1.15


@dataclass(frozen=True)
class Bar:
    """One criterion. `length` and `limit_at` are in drawing units of `WIDTH`.

    `certainty` is the evidence reached as a share of what certifies it, None for floors.
    """

    label: str
    outcome: str
    sentence: str
    measured: float | None
    limit: float
    unit: str
    length: int
    limit_at: int
    least: bool
    certainty: float | None = None
    certainty_length: int = 0

    @property
    def measured_words(self) -> str:
        return "not measured" if self.measured is None else _words(self.measured, self.unit)

    @property
    def limit_words(self) -> str:
        return f"{'≥' if self.least else '<'} {_words(self.limit, self.unit)}"

    @property
    def certainty_words(self) -> str:
        return "" if self.certainty is None else f"{self.certainty:.0%}"


@dataclass(frozen=True)
class ShadowPlot:
    bars: tuple[Bar, ...]
    sentence: str
    notes: tuple[str, ...]
    width: int = WIDTH


# Criteria where the limit is the least that must be reached, not the most that is allowed.
_LEAST = {"duration", "requests"}


def shadow_plot(evidence: Mapping[str, Any]) -> ShadowPlot | None:
    """The drawing for evidence that holds a shadow verdict; None for any other evidence."""
    verdict = evidence.get("verdict")
    if not isinstance(verdict, Mapping) or not isinstance(verdict.get("criteria"), list):
        return None
    threshold = verdict.get("log_threshold")
    bars = tuple(_bar(each, threshold) for each in verdict["criteria"])
    return ShadowPlot(bars, str(verdict.get("sentence", "")), tuple(verdict.get("notes", ())))


def _bar(criterion: Mapping[str, Any], threshold: float | None) -> Bar:
    measured, limit = criterion.get("measured"), float(criterion["limit"])
    scale = WIDTH / (max(measured or 0.0, limit) * _MARGIN or 1.0)
    certainty = _certainty(criterion.get("log_evidence"), threshold)
    return Bar(
        label=str(criterion.get("label", criterion.get("key", ""))),
        outcome=str(criterion.get("outcome", "")),
        sentence=str(criterion.get("sentence", "")),
        measured=measured,
        limit=limit,
        unit=str(criterion.get("unit", "")),
        length=round((measured or 0.0) * scale),
        limit_at=round(limit * scale),
        least=criterion.get("key") in _LEAST,
        certainty=certainty,
        certainty_length=round((certainty or 0.0) * WIDTH),
    )


def _words(value: float, unit: str) -> str:
    if unit == "share":
        return f"{100 * value:.3g} %"
    number = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}"
    return f"{number} {unit}".strip()


def _certainty(log_evidence: float | None, threshold: float | None) -> float | None:
    if log_evidence is None or not threshold:
        return None
    return min(1.0, max(0.0, log_evidence / threshold))
