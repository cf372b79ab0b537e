"""Models that fit a search, in an order, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import F, QuerySet, Subquery

from e2i_site.core.paging import KeyedSection, Position, Section
from registry.models import RegisteredModel
from registry.search.conditions import (
    HEAD,
    MODELS,
    head_version,
    narrow,
    newest_version,
    of_head,
)
from training.models import RunMetric, TrainingRun
from training.search.expressions import JSONText
from training.search.grammar import Kind, Term
from training.search.order import Order, Orders, first_text

KEY = "sort_key"
MODEL_ORDERS = Orders(
    MODELS,
    {
        "name": lambda: F("name"),
        "experiment": lambda: first_text("experiment__experiment_id"),
        "version": newest_version,
        "updated": lambda: F("updated_in_mlflow"),
        "created": lambda: F("created_in_mlflow"),
    },
    default="name",
    numbers=frozenset({"version"}),
    times=frozenset({"updated", "created"}),
)


@dataclass(frozen=True)
class ModelListing:
    """Models of `base` that fit all `terms`, in an order; `full` has what a list shows of them."""

    base: QuerySet[RegisteredModel]
    terms: Sequence[Term]
    order: Order
    full: QuerySet[RegisteredModel]

    @cached_property
    def models(self) -> QuerySet[RegisteredModel]:
        """All that fit, in no order; SearchError for a term that means nothing."""
        return narrow(self.base, self.terms)

    def sections(self) -> list[Section]:
        """Models with a value to order by, and those without it, which come last.

        There are thousands of models, not millions: each page sorts those that fit.
        """
        if self.order.kind == Kind.ATTRIBUTE and self.order.name == "name":
            return [self._section(self.models, "name")]  # Each has one.
        keyed = self._keyed()
        return [
            self._section(keyed.filter(**{f"{KEY}__isnull": False}), KEY),
            self._section(keyed.filter(**{f"{KEY}__isnull": True}), ""),
        ]

    def every(self, chunk: int = 500) -> Iterator[list[RegisteredModel]]:
        """All models in order, some at a time; each chunk is two queries."""
        for section in self.sections():
            position = None
            while rows := section.take(chunk, position):
                yield rows
                value = getattr(rows[-1], section.key) if section.key else None
                position = Position(rows[-1].pk, value)

    def _keyed(self) -> QuerySet[RegisteredModel]:
        if self.order.kind == Kind.ATTRIBUTE:
            return self.models.annotate(**{KEY: self.order.expression})
        if self.order.kind == Kind.TAG:
            return self.models.annotate(**{KEY: JSONText("tags", self.order.name)})
        rows: QuerySet[Any] = RunMetric.objects.filter(of_head("run__entries"), key=self.order.name)
        values: QuerySet[Any, Any] = rows.values("value")
        if self.order.kind == Kind.PARAM:
            runs = TrainingRun.objects.filter(of_head("entries"))
            values = runs.values(text=JSONText("params", self.order.name))
        return self.models.alias(**{HEAD: head_version()}).annotate(**{KEY: Subquery(values[:1])})

    def _section(self, rows: QuerySet[RegisteredModel], key: str) -> Section:
        return KeyedSection(rows, key, self.order.descending, self.order.read, self.full)
