"""Gates as the review page shows them: words, numbers, and evidence as tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.gates.base import find, title
from registry.models import GateResult, Promotion
from registry.views.gate_plots import Drawing, drawing_of, tabular
from registry.views.shadow_plot import ShadowPlot, shadow_plot

_ROW_LENGTH = 48
_HASH = re.compile("[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Cell:
    """A value of the evidence. `kind` is text, number, hash or missing."""

    value: Any
    kind: str


@dataclass(frozen=True)
class Mark:
    """A gate in a row of marks."""

    title: str
    outcome: str
    dry_run: bool


@dataclass(frozen=True)
class Table:
    """Evidence in rows. `columns` is empty for plain name and value pairs."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class GateView:
    """One gate: the stored result, what it is for, and its evidence in tables."""

    result: GateResult
    title: str
    purpose: str
    tables: tuple[Table, ...]
    plot: ShadowPlot | None
    drawing: Drawing | None = None

    @property
    def observed(self) -> str:
        """What was measured, where it fits a row; the summary says it otherwise."""
        measured = self.result.measured
        if self.result.gate_id == "artifact_digest":
            return measured[:12]
        return measured if len(measured) <= _ROW_LENGTH else ""

    @property
    def needed(self) -> str:
        limit = self.result.limit
        return limit if self.observed and len(limit) <= _ROW_LENGTH else ""

    @property
    def note(self) -> str:
        """The summary in the row itself, where no figure says it shorter."""
        return "" if self.observed else self.result.summary

    @property
    def passed(self) -> bool:
        return bool(self.result.badness == 0)

    @property
    def open(self) -> bool:
        """What blocks, and what was measured on traffic, is unfolded from the start."""
        blocks = not self.passed and not self.result.dry_run
        return self.plot is not None or (blocks and bool(self.tables))


def gate_views(promotion: Promotion) -> list[GateView]:
    """All gates of a promotion in the policy's order; 1 query unless prefetched."""
    return [gate_view(result) for result in promotion.gates.all()]


def marks(promotion: Promotion) -> list[Mark]:
    """The row of marks of a promotion whose gates are prefetched."""
    return [mark(gate) for gate in promotion.gates.all()]


def mark(gate: GateResult) -> Mark:
    """The gate in a row of marks."""
    name = title(gate.gate_id)
    return Mark(f"{name} (dry run)" if gate.dry_run else name, gate.outcome, gate.dry_run)


def gate_view(result: GateResult) -> GateView:
    """A stored or a fresh gate result, for people."""
    plot = shadow_plot(result.evidence)
    shown = {
        key: value
        for key, value in tabular(result.evidence).items()
        if not (plot and key == "verdict")
    }
    return GateView(
        result=result,
        title=title(result.gate_id),
        purpose=purpose(result.gate_id),
        tables=tuple(evidence_tables(shown)),
        plot=plot,
        drawing=drawing_of(result.gate_id, result.evidence, result.specification),
    )


def purpose(gate_id: str) -> str:
    """What the gate asks for, in the words of its own documentation."""
    gate = find(gate_id)
    return gate.purpose if gate else ""


def evidence_tables(evidence: Mapping[str, Any]) -> Iterable[Table]:
    """Single values first, then one table for every list or group in the evidence."""
    plain = {name: value for name, value in evidence.items() if not _is_group(value)}
    if plain:
        yield _pairs("", plain)
    for name, value in evidence.items():
        if isinstance(value, Mapping) and value:
            yield from _mapping(name, value)
        elif _is_group(value) and value:
            yield _records(name, value)


def _mapping(name: str, value: Mapping[str, Any]) -> Iterable[Table]:
    caption = words(name)
    if all(isinstance(item, Mapping) for item in value.values()):
        rows = [{"": words(key), **item} for key, item in value.items()]
        yield _records(name, rows)
    else:
        yield _pairs(caption, value)


def _pairs(caption: str, values: Mapping[str, Any]) -> Table:
    return Table(caption, (), tuple((words(k), _cell(v)) for k, v in values.items()))


def _records(name: str, records: Sequence[Any]) -> Table:
    if not all(isinstance(record, Mapping) for record in records):
        return Table(words(name), (), tuple((n, _cell(v)) for n, v in enumerate(records, 1)))
    columns = list(dict.fromkeys(key for record in records for key in record))
    rows = tuple(tuple(_cell(record.get(key)) for key in columns) for record in records)
    return Table(words(name), tuple(words(key) for key in columns), rows)


def _is_group(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, Sequence) and not isinstance(value, str)
    )


def _cell(value: Any) -> Cell:
    """Groups inside a table become compact JSON, and what is empty counts as missing."""
    if isinstance(value, bool):
        return Cell("yes" if value else "no", "text")
    if isinstance(value, int | float):
        return Cell(value, "number")
    if not value:
        return Cell(None, "missing")
    if _is_group(value):
        return Cell(json.dumps(value, ensure_ascii=False), "text")
    return Cell(value, "hash" if _HASH.fullmatch(str(value)) else "text")


def words(name: str) -> str:
    """ "mlflow_run_id" gives "Mlflow run id"."""
    return name.replace("_", " ").strip().capitalize()
