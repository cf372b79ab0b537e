"""What the pages over a search line share, whatever they list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import HttpResponse, QueryDict
from django.urls import reverse_lazy

from e2i_site.core.paging import Bounded, KeysetPage
from training.search.grammar import SearchError

_NOT_KEPT = {"before", "after", "seen", "page"}


def search_line(placeholder: str, names: str) -> forms.CharField:
    """The field of the search line; the address `names` completes what is typed."""
    attributes = {
        "type": "search",
        "placeholder": placeholder,
        "autocomplete": "off",
        "autocapitalize": "off",
        "spellcheck": "false",
        "aria-describedby": "search-help",
        "role": "combobox",
        "aria-autocomplete": "list",
        "aria-expanded": "false",
        "aria-controls": "search-names",
        "data-completes": reverse_lazy(names),
    }
    return forms.CharField(label="Search", required=False, widget=forms.TextInput(attributes))


@dataclass(frozen=True)
class Problem:
    """What of the search line was not understood, with the text around it."""

    before: str
    marked: str
    after: str
    message: str

    @classmethod
    def of(cls, line: str, error: SearchError) -> Problem:
        start, end = error.start, max(error.end, error.start + 1)
        return cls(line[:start], line[start:end] or " ", line[end:], error.message)

    def __str__(self) -> str:
        return f"At “{self.marked.strip() or 'the end'}”: {self.message}"


@dataclass(frozen=True)
class Found:
    """A listing of what fits the URL, or what was not understood of it."""

    listing: Any
    problem: Problem | None = None
    errors: tuple[str, ...] = ()

    @property
    def is_wrong(self) -> bool:
        return bool(self.problem or self.errors)

    def refused(self) -> HttpResponse:
        """The answer of an export that cannot be made."""
        said = " ".join(map(str, (*([self.problem] if self.problem else []), *self.errors)))
        return HttpResponse(said, status=400, content_type="text/plain; charset=utf-8")


def all_shown(page: KeysetPage) -> Bounded | None:
    """How many rows fit, where the page shows all of them. Else they are counted after it."""
    if page.older is not None or page.newer is not None:
        return None
    return Bounded(len(page), is_exact=True)


def kept(query: QueryDict, *without: str) -> list[tuple[str, str]]:
    """The rest of the query, for hidden fields of a form that sets `without`."""
    left_out = {*without, *_NOT_KEPT}
    return [
        (name, value)
        for name in query
        if name not in left_out
        for value in query.getlist(name)
        if value
    ]


def is_filtered(query: QueryDict, filters: Iterable[str]) -> bool:
    """Whether anything in the URL hides rows."""
    return any(query.get(name) for name in ("q", *filters))
