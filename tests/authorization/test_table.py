"""Every page, API route and admin action, called as everybody; table.txt says what must come.

A cell is y (shown, or done), - (not done) or L (asked to log in).
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache

from tests.authorization.callers import CALLERS, Callers
from tests.authorization.calls import body_of, path_of
from tests.authorization.routes import all_routes, object_of
from tests.authorization.world import make_world

pytestmark = [pytest.mark.django_db, pytest.mark.once]
TABLE = Path(__file__).with_name("table.txt")
ROUTES = all_routes()
ROOMS = sorted({route.partition("/")[0] for route, _ in ROUTES})


@pytest.fixture(autouse=True)
def undisturbed(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """No message leaves, nobody has called too often, and who calls is known without a query."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    monkeypatch.setattr("e2i_site.jobs.tasks.run.apply_async", lambda *args, **kwargs: None)
    monkeypatch.setattr("e2i_site.accounts.api.Pace.rate", "100000/min")
    cache.clear()


@pytest.fixture
def world(people: SimpleNamespace) -> dict[str, Any]:
    return make_world(people)


def table() -> Iterator[tuple[str, str, str]]:
    """(route, method, cells) of each line; * stands for any part of a route, or any method."""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            route, method, *cells = line.split()
            if method == "ACTION":
                method, cells = f"ACTION {cells[0]}", cells[1:]
            yield route.removeprefix("/"), method, "".join(cells)


def expected(route: str, method: str) -> str | None:
    """The cells of the first line that fits."""
    for pattern, verb, cells in table():
        if verb in (method, "*") and (route == pattern or fnmatchcase(route, pattern)):
            return cells
    return None


def _with(cells: str, index: int, other: str) -> str:
    return cells[:index] + other[index] + cells[index + 1 :]


def line(route: str, method: str, cells: str) -> str:
    return f"/{route:52} {method:8} {'  '.join(cells)}"


@pytest.mark.parametrize("room", ROOMS)
def test_each_cell(room: str, people: SimpleNamespace, world: dict[str, Any]) -> None:
    callers = Callers(people)
    missing, wrong = [], []
    for route, method in ROUTES:
        if route.partition("/")[0] != room:
            continue
        verb = "POST" if method.startswith("ACTION ") else method
        found = callers.cells(verb, path_of(route, world), body_of(route, method, world))
        wanted = expected(route, method)
        if wanted and "<object_id>" in route and object_of(route) is None:
            # No such row: the admin leads everybody whom it knows away, whatever they may do.
            found = _with(found, CALLERS.index("superuser"), wanted)
        if wanted is None:
            missing.append(line(route, method, found))
        elif wanted != found:
            wrong += [line(route, method, wanted), line(route, method, found) + "   <- is"]
    assert not missing, (
        "Nobody has written who may call these. Each line says who can now, in the order "
        f"{', '.join(CALLERS)}. Judge every cell, then add the line to {TABLE}; where a call "
        "needs an address or a body, say so in calls.py:\n" + "\n".join(missing)
    )
    assert not wrong, f"{TABLE.name} says otherwise:\n" + "\n".join(wrong)


def test_no_line_is_about_nothing() -> None:
    lines = [(route, method) for route, method, _ in table()]
    assert len(lines) == len(set(lines)), "a line is there twice"
    for route, method in lines:
        assert any(fnmatchcase(each, route) and method in (verb, "*") for each, verb in ROUTES), (
            f"{method} {route} is no route any more; take its line out of {TABLE}"
        )
    assert all(len(cells) == len(CALLERS) for _, _, cells in table())
