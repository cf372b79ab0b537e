"""The orders of a list: by any metric, parameter, tag or attribute."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import CharField, F, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, NullIf

from training.search.expressions import JSONText
from training.search.grammar import KINDS, RUNS, Kind, Subject

DEFAULT_SORT = "-started"
LONGEST_NAME = 500


def first_text(*columns: str) -> Combinable:
    """The first of the columns that is not empty; null when all are."""
    parts = [NullIf(F(name), Value(""), output_field=CharField()) for name in columns]
    return parts[0] if len(parts) == 1 else Coalesce(*parts, output_field=CharField())


# What an attribute is ordered by; "run", "deleted" and "hidden" are no orders.
_EXPRESSIONS: dict[str, Callable[[], Combinable]] = {
    "name": lambda: F("run_name"),
    "started": lambda: F("started_at"),
    "ended": lambda: F("completed_at"),
    "duration": lambda: F("duration_seconds"),
    "status": lambda: F("status"),
    "source": lambda: F("source"),
    "role": lambda: F("role"),
    "algorithm": lambda: first_text("algorithm"),
    "framework": lambda: first_text("framework"),
    "experiment": lambda: first_text("experiment__experiment_id", "mlflow_experiment__name"),
    "user": lambda: first_text("created_by__username", "user_name"),
}
# The columns among them that an index over (column, id) orders.
INDEXED = {"started": "started_at", "duration": "duration_seconds", "name": "run_name"}


@dataclass(frozen=True)
class Orders:
    """What a subject can be ordered by, and what it is by default."""

    subject: Subject
    expressions: Mapping[str, Callable[[], Combinable]]
    default: str
    numbers: frozenset[str] = frozenset()
    times: frozenset[str] = frozenset()


RUN_ORDERS = Orders(
    RUNS, _EXPRESSIONS, DEFAULT_SORT, frozenset({"duration"}), frozenset({"started", "ended"})
)


@dataclass(frozen=True)
class Order:
    """By what, and in which direction. Rows without a value come last in both."""

    kind: Kind
    name: str
    descending: bool = False
    orders: Orders = RUN_ORDERS

    @classmethod
    def parse(cls, text: str, orders: Orders = RUN_ORDERS) -> Order:
        """Read "-started", "metric.auc", "-param.lr"; a bare unknown name is a metric.

        What cannot be a name gives the default order.
        """
        descending = text.startswith("-")
        name = text.removeprefix("-")
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            return cls.parse(orders.default, orders)
        prefix, dot, rest = name.partition(".")
        kind = KINDS.get(prefix) if dot and rest else None
        if kind in (Kind.METRIC, Kind.PARAM, Kind.TAG):
            return cls(kind, rest, descending, orders)
        attribute = orders.subject.attributes.get(rest if kind else name, "")
        if attribute in orders.expressions:
            return cls(Kind.ATTRIBUTE, attribute, descending, orders)
        return cls(Kind.METRIC, name, descending, orders)

    def __str__(self) -> str:
        name = self.name if self.kind == Kind.ATTRIBUTE else f"{self.kind}.{self.name}"
        return f"-{name}" if self.descending else name

    @property
    def expression(self) -> Combinable:
        """What is compared. Metrics have a table of their own."""
        if self.kind == Kind.ATTRIBUTE:
            return self.orders.expressions[self.name]()
        return JSONText(f"{self.kind}s", self.name)

    @property
    def read(self) -> Callable[[str], Any]:
        """Makes a value of a text in the URL; ValueError for one that is none."""
        if self.kind == Kind.METRIC:
            return float
        if self.kind != Kind.ATTRIBUTE:
            return str
        if self.name in self.orders.numbers:
            return _finite
        return _moment if self.name in self.orders.times else str


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError("no number of a column")
    return value


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("without a time zone")
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from None
