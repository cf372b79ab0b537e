"""Models that fit a search, in an order, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from django.db.models import F, QuerySet, Subquery

from e2i_site.core.paging import Position, Section
from registry.models import RegisteredModel
from registry.search.conditions import (
    HEAD_RUN,
    MODELS,
    head_metric,
    head_run,
    narrow,
    newest_version,
    of_head,
)
from training.models import TrainingRun
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
class ModelSection(Section):
    """A section whose rows are shown as `full` has them, which has the key, too."""

    full: QuerySet[RegisteredModel] | None = None

    def take(self, count: int, position: Position | None = None) -> list[RegisteredModel]:
        """As in Section: what is shown of a model is only looked up for those of the page."""
        near = self.ordered().filter(self.beyond(position, key=self.key)).values("pk")[:count]
        full = RegisteredModel.objects.all() if self.full is None else self.full
        return list(replace(self, rows=full).ordered().filter(pk__in=near))


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
            return [self._section(self.models, self.full, "name")]  # Each has one.
        keyed, full = self._keyed(self.models), self._keyed(self.full)
        return [
            self._section(keyed.filter(**{f"{KEY}__isnull": False}), full, KEY),
            self._section(keyed.filter(**{f"{KEY}__isnull": True}), full, ""),
        ]

    def every(self, chunk: int = 500) -> Iterator[list[RegisteredModel]]:
        """All models in order, some at a time; each chunk is one query."""
        for section in self.sections():
            position = None
            while rows := section.take(chunk, position):
                yield rows
                value = getattr(rows[-1], section.key) if section.key else None
                position = Position(rows[-1].pk, value)

    def _keyed(self, models: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
        if self.order.kind == Kind.ATTRIBUTE:
            return models.annotate(**{KEY: self.order.expression})
        if self.order.kind == Kind.TAG:
            return models.annotate(**{KEY: JSONText("tags", self.order.name)})
        models = models.alias(**{HEAD_RUN: head_run()})
        if self.order.kind == Kind.METRIC:
            return models.annotate(**{KEY: head_metric(self.order.name)})
        runs = TrainingRun.objects.filter(of_head("pk"))
        values = runs.values(text=JSONText("params", self.order.name))
        return models.annotate(**{KEY: Subquery(values[:1])})

    def _section(
        self, rows: QuerySet[RegisteredModel], full: QuerySet[RegisteredModel], key: str
    ) -> Section:
        return ModelSection(rows, key, self.order.descending, self.order.read, full)
