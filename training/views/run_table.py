"""The table of runs: which columns it has, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.http import HttpRequest

from training import metrics, queries
from training.models import TrainingRun
from training.search.grammar import KINDS, Kind

METRICS_SHOWN = 4
MOST_COLUMNS = 12
MOST_OFFERED = 300
REMEMBERED = "run_columns"


class HasValues(Protocol):
    """A run, or what else has a run's parameters, tags and metrics."""

    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def tags(self) -> Mapping[str, Any]: ...
    @property
    def metrics(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Column:
    """A metric, a parameter or a tag as a column."""

    kind: Kind
    name: str

    @classmethod
    def parse(cls, token: str) -> Column | None:
        """Read "test_roc_auc", "metric.auc", "param.lr", "tag.team"; None for what names none."""
        token = token.strip()
        prefix, dot, rest = token.partition(".")
        kind = KINDS.get(prefix.lower()) if dot and rest else None
        if kind in (Kind.METRIC, Kind.PARAM, Kind.TAG):
            return cls(kind, rest)
        return cls(Kind.METRIC, token) if token and token.isprintable() else None

    @property
    def token(self) -> str:
        """Its name in the URL and for ordering."""
        return f"{self.kind}.{self.name}"

    @property
    def label(self) -> str:
        return metrics.label(self.name) if self.is_metric else self.name

    @property
    def heading(self) -> str:
        """Its name in CSV."""
        return self.name if self.is_metric else self.token

    @property
    def is_metric(self) -> bool:
        return self.kind == Kind.METRIC

    def cell(self, run: HasValues, values: Mapping[str, float]) -> Cell:
        """What the run has there; `values` are its metrics."""
        if not self.is_metric:
            return Cell(self, text=str(getattr(run, f"{self.kind}s").get(self.name, "")))
        if self.name in values:
            return Cell(self, values[self.name])
        # NaN and infinities are texts in JSON.
        return Cell(self, text=str(run.metrics.get(self.name, "")))


@dataclass(frozen=True)
class Cell:
    """A number, or a text; empty when the run has neither."""

    column: Column
    value: float | None = None
    text: str = ""


def run_table(
    rows: Sequence[tuple[TrainingRun, Mapping[str, float]]], columns: Sequence[Column]
) -> dict[str, Any]:
    """Context of a table of runs: each with its cells."""
    return {
        "rows": [(run, [column.cell(run, values) for column in columns]) for run, values in rows],
        "columns": columns,
    }


def chosen_columns(request: HttpRequest, remembered: str = REMEMBERED) -> tuple[Column, ...]:
    """Columns that the URL names, as ?columns=a&columns=b or ?columns=a,b, and keeps in mind.

    Without any in the URL those that the person chose last.
    """
    if "columns" not in request.GET:
        tokens = request.session.get(remembered, [])
    else:
        tokens = [name for part in request.GET.getlist("columns") for name in part.split(",")]
    found = dict.fromkeys(filter(None, map(Column.parse, tokens)))
    columns = tuple(found)[:MOST_COLUMNS]
    kept = [column.token for column in columns]
    if request.session.get(remembered, []) != kept:
        request.session[remembered] = kept
    return columns


def default_columns(names: Sequence[str]) -> list[Column]:
    """The best-known metrics of the test split, else the best-known ones there are."""
    test = [name for name in names if metrics.split_name(name)[0] == "test"]
    others = [name for name in names if not metrics.split_name(name)[0]]
    return [Column(Kind.METRIC, name) for name in [*test, *others][:METRICS_SHOWN]]


def metric_names(runs: Iterable[TrainingRun]) -> list[str]:
    """Names of all metrics of the runs, the best-known first."""
    return metrics.in_order(name for run in runs for name in metrics.values(run))


def offered_columns(
    metric_names: Sequence[str], rows: Iterable[HasValues], chosen: Sequence[Column]
) -> list[Column]:
    """The chosen columns, the metrics, and the parameters that the rows have."""
    params = sorted({name for row in rows for name in row.params})
    found = [Column(Kind.METRIC, name) for name in metric_names]
    found += [Column(Kind.PARAM, name) for name in params]
    return list(dict.fromkeys([*chosen, *found]))[:MOST_OFFERED]


CSV_COLUMNS = (
    "run",
    "name",
    "experiment",
    "algorithm",
    "framework",
    "status",
    "source",
    "started by",
    "started at",
    "duration s",
    "mlflow run id",
    "written to mlflow",
    "address",
)


def csv_row(request: HttpRequest, run: TrainingRun, columns: Sequence[Column]) -> list[object]:
    """The run under CSV_COLUMNS and `columns`."""
    values = metrics.values(run)
    cells = [column.cell(run, values) for column in columns]
    return [
        run.pk,
        run.run_name,
        queries.experiment_name(run),
        run.algorithm,
        run.framework,
        run.get_status_display(),
        run.get_source_display(),
        queries.person(run),
        run.started_at.isoformat() if run.started_at else "",
        run.duration_seconds,
        run.mlflow_run_id,
        "yes" if run.mlflow_available else "no",
        request.build_absolute_uri(run.get_absolute_url()),
        *(cell.text if cell.value is None else cell.value for cell in cells),
    ]
