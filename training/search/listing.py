"""Runs that fit a search, in an order, a page at a time.

How a page stays quick among a million runs. There are two ways to it, each the worst at some time:

- *walk*: go through the index of the order, keep the runs that fit, and stop at a full page. Quick
  when many fit; when few do, it walks through everything.
- *gather*: find all runs that fit by whatever index the rarest condition has, and sort them. Quick
  when few fit.

A database guesses which is better, and of the contents of JSON it cannot know. So we look: the
first four hundred entries of the walk tell what share fits. When a page is not full by then, that
share says how far to walk on; if that is too far, few fit, and they are gathered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, sqrt
from typing import Any

from django.db.models import Exists, F, FilteredRelation, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from e2i_site.core.paging import KeyedSection, Position, Section
from training.models import RunMetric, TrainingRun
from training.search.comparisons import metric_range
from training.search.conditions import condition, narrow
from training.search.grammar import Kind, Term
from training.search.order import INDEXED, Order

FIRST_WALK = 400
LONGEST_WALK = 10_000
KEY = "sort_key"


def _bound(walked: int, found: int, missing: int) -> int:
    """How many entries more probably hold the missing ones: what was found may have been luck, and
    so is what comes, so each counts a standard deviation less."""
    share = (found - sqrt(found)) / walked
    return ceil((missing + sqrt(missing)) / share) if share > 0 else LONGEST_WALK


@dataclass
class Leftover:
    """All runs without a key, once a gather has come upon them; None before."""

    pks: list[int] | None = None


@dataclass(frozen=True)
class RunSection(KeyedSection):
    """Finds the keys by one of the two ways.

    `index` holds the entries of the order's index, also of runs that do not fit; `index_key` and
    `index_run` are the names of key and run there. `gathered` are the same rows, and those without
    a key, with the key found run by run, where a join would let the database walk the index after
    all. When such a gather came to its end, those without a key are in `leftover`.
    """

    index: QuerySet[Any] | None = None
    index_key: str = ""
    index_run: str = "pk"
    gathered: QuerySet[TrainingRun] | None = None
    leftover: Leftover = field(default_factory=Leftover)

    def find(self, count: int, position: Position | None) -> list[tuple[int, Any]]:
        """One to four queries, the module says why; none for what is left over."""
        if not self.key and position is None and self.leftover.pks is not None:
            return [(pk, pk) for pk in self.leftover.pks[:count]]
        if self.index is None:
            return self._collect(count, position)
        found: list[tuple[int, Any]] = []
        walked, bound = 0, FIRST_WALK
        while walked + bound <= LONGEST_WALK:
            some, is_end = self._walk(walked, bound, count - len(found), position)
            # What comes meanwhile can push an entry into the next part.
            found += [each for each in some if each not in found]
            if len(found) == count or is_end:
                return found
            if not found:
                break
            walked += bound
            bound = _bound(walked, len(found), count - len(found))
        return self._collect(count, position)

    def _walk(
        self, walked: int, bound: int, count: int, position: Position | None
    ) -> tuple[list[tuple[int, Any]], bool]:
        """Those that fit among the `bound` entries after the `walked` ones, and whether one of
        them is known to be the last."""
        assert self.index is not None
        ahead = self.index.filter(self.beyond(position, key=self.index_key, pk=self.index_run))
        fields = [*([self.index_key] if self.index_key else []), self.index_run]
        order = [f"-{name}" if self.descending else name for name in fields]
        near = ahead.order_by(*order).values(self.index_run)[walked : walked + bound]
        found = list(
            self.ordered()
            .annotate(goes_on=Exists(ahead[walked + bound : walked + bound + 1]))
            .filter(pk__in=near)
            .values_list("pk", self.key or "pk", "goes_on")[:count]
        )
        return [(pk, key) for pk, key, _ in found], bool(found and not found[0][2])

    def _collect(self, count: int, position: Position | None) -> list[tuple[int, Any]]:
        name = self.key or "pk"
        beyond = self.beyond(position, key=self.key)
        if self.gathered is None:
            # Ordered by an expression that no index holds, for the same reason.
            order = self.order(Coalesce(F(name), F(name)))
            rows = self.rows.filter(beyond).order_by(*order)
            return list(rows.values_list("pk", name)[:count])
        # To ask for rows with a key would be to look it up twice; those without come last.
        key, pk = F(name), F("pk")
        order = (
            [key.desc(nulls_last=True), pk.desc()]
            if self.descending
            else [key.asc(nulls_last=True), pk.asc()]
        )
        found = list(self.gathered.filter(beyond).order_by(*order).values_list("pk", name)[:count])
        if position is None and len(found) < count:
            self.leftover.pks = [run for run, value in found if value is None]
        return [(run, value) for run, value in found if value is not None]


@dataclass(frozen=True)
class RunListing:
    """Runs of `base` that fit all `terms`, in an order.

    `full` has what a list shows of them, and all of them: one may fit no more when it is shown.
    """

    base: QuerySet[TrainingRun]
    terms: Sequence[Term]
    order: Order
    full: QuerySet[TrainingRun] | None = None

    @property
    def runs(self) -> QuerySet[TrainingRun]:
        """All that fit, in no order; SearchError for a term that means nothing."""
        return narrow(self.base, self.terms)

    def sections(self) -> list[Section]:
        """Runs with a value to order by, and those without it, which come last.

        A run that waits to start counts as the newest.
        """
        if self.order.kind == Kind.METRIC:
            return self._by_metric()
        keyed = self.runs.annotate(**{KEY: self.order.expression})
        there = self._section(keyed.filter(**{f"{KEY}__isnull": False}))
        missing = self._section(keyed.filter(**{f"{KEY}__isnull": True}), key="")
        if (column := INDEXED.get(self.order.name)) and self.order.kind == Kind.ATTRIBUTE:
            index = TrainingRun.objects.filter(
                *map(condition, self._about_order()), **{f"{column}__isnull": False}
            )
            there = replace(there, index=index, index_key=column)
        if self.order.name == "started" and self.order.descending:
            return [missing, there]
        return [there, missing]

    def every(self, chunk: int = 500) -> Iterator[TrainingRun]:
        """All runs in order, with a few at a time in memory."""
        for section in self.sections():
            yield from section.ordered().iterator(chunk_size=chunk)

    def _by_metric(self) -> list[Section]:
        own = self._about_order()
        others = [term for term in self.terms if term not in own]
        runs = narrow(self.base, others)
        index = RunMetric.objects.filter(*map(metric_range, own), key=self.order.name)
        there = self._section(
            runs.alias(
                ordering=FilteredRelation(
                    "metric_rows", condition=Q(metric_rows__key=self.order.name)
                )
            )
            .annotate(**{KEY: F("ordering__value")})
            .filter(*(metric_range(term, KEY) for term in own), **{f"{KEY}__isnull": False})
        )
        its_own = RunMetric.objects.filter(run=OuterRef("pk"), key=self.order.name)
        gathered = runs.annotate(**{KEY: Subquery(its_own.values("value"))}).filter(
            *(metric_range(term, KEY) for term in own)
        )
        there = replace(
            there, index=index, index_key="value", index_run="run_id", gathered=gathered
        )
        if own:  # Who has no such metric fits no condition on it.
            return [there]
        missing = self._section(runs.filter(~Exists(its_own)), key="")
        missing = replace(missing, index=TrainingRun.objects.all(), leftover=there.leftover)
        return [there, missing]

    def _about_order(self) -> list[Term]:
        """The terms about what orders the list: they narrow the walk itself."""
        return [
            term
            for term in self.terms
            if (term.kind, term.name) == (self.order.kind, self.order.name)
        ]

    def _section(self, rows: QuerySet[TrainingRun], key: str = KEY) -> RunSection:
        full = self.base if self.full is None else self.full
        return RunSection(rows, key, self.order.descending, self.order.read, full)
