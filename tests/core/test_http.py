"""Errors as pages, redirects that stay here, CSV that no spreadsheet executes."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory
from django_htmx.middleware import HtmxMiddleware
from hypothesis import given
from hypothesis import strategies as st

from e2i_site.core.errors import Conflict, E2IError, InvalidInput, Refused
from e2i_site.core.http import (
    FORMULA_STARTS,
    NUMBER,
    ErrorPages,
    csv_cell,
    csv_response,
    errors_on,
    go_to,
    next_url,
    safe_url,
)


class ReasonForm(forms.Form):
    reason = forms.CharField()


def request(path: str = "/", **headers: str) -> HttpRequest:
    made = RequestFactory().get(path, headers=headers)
    made.user = AnonymousUser()
    HtmxMiddleware(lambda _: HttpResponse())(made)
    return made


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InvalidInput("A reason needs ten characters."), 400, "A reason needs ten characters."),
        (Refused(["You requested it.", "Not ready."]), 403, "Not ready."),
        (Conflict("Grace decided first."), 409, "Grace decided first."),
    ],
)
def test_our_errors_become_pages(error: E2IError, status: int, words: str) -> None:
    pages = ErrorPages(lambda _: HttpResponse())
    made = request()
    made._messages = []  # type: ignore[attr-defined]
    response = pages.process_exception(made, error)
    assert response is not None
    assert response.status_code == status
    assert words in response.content.decode()
    part = pages.process_exception(request(**{"HX-Request": "true"}), error)
    assert part is not None
    assert part.status_code == status
    assert "<html" not in part.content.decode()
    assert part["X-E2I-Message"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/registry/models/a%00/", 404),
        ("/training/runs/names/?q=%00", 400),
        ("/training/runs/names/?q=%2500", 200),
        ("/api/v1/models/%00/", 404),
    ],
)
def test_a_character_that_no_database_keeps_is_refused(address: str, expected: int) -> None:
    try:
        status = ErrorPages(lambda _: HttpResponse())(RequestFactory().get(address)).status_code
    except Http404:
        status = 404
    assert status == expected


def test_other_errors_are_not_swallowed() -> None:
    pages = ErrorPages(lambda _: HttpResponse())
    assert pages.process_exception(request(), RuntimeError("broken")) is None


@pytest.mark.parametrize(
    ("error", "field"),
    [
        (InvalidInput("too short", field="reason"), "reason"),
        (InvalidInput("no such thing", field="unknown"), "__all__"),
        (Refused(["No."]), "__all__"),
        (Conflict("Changed."), "__all__"),
    ],
)
def test_errors_land_on_the_form_and_keep_what_was_typed(error: E2IError, field: str) -> None:
    form = ReasonForm({"reason": "typed"})
    assert form.is_valid()
    with errors_on(form):
        raise error
    assert list(form.errors) == [field]
    assert 'value="typed"' in str(form["reason"])


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("/audit/", True),
        ("http://testserver/x", True),
        ("https://evil.example/", False),
        ("//evil.example/", False),
        ("javascript:alert(1)", False),
        ("no-view", False),
        ("", False),
    ],
)
def test_next_never_leads_away(url: str, kept: bool) -> None:
    assert safe_url(request(), url, "/home/") == (url if kept else "/home/")
    made = RequestFactory().get("/", {"next": url})
    assert next_url(made, "/home/") == (url if kept else "/home/")


def test_redirects_reach_htmx_as_whole_pages() -> None:
    assert go_to(request(), "/x/").status_code == 303
    assert go_to(request(**{"HX-Request": "true"}), "/x/")["HX-Redirect"] == "/x/"


def test_csv_headings_never_begin_a_formula() -> None:
    """Columns are named as whoever logged a metric named it, or as the address says."""
    response = csv_response("runs", ["=HYPERLINK(1)", "\n=1+1", "auc"], [])
    text = b"".join(response.streaming_content).decode()  # type: ignore[arg-type]
    assert next(csv.reader(io.StringIO(text))) == ["'=HYPERLINK(1)", "'\n=1+1", "auc"]


@given(st.lists(st.lists(st.one_of(st.text(), st.integers(), st.none()), min_size=1), max_size=5))
def test_csv_cells_never_begin_a_formula(rows: list[list[Any]]) -> None:
    response = csv_response("runs", ["a"], rows)
    text = b"".join(response.streaming_content).decode()  # type: ignore[arg-type]
    read = list(csv.reader(io.StringIO(text, newline="")))[1:]
    given_cells = [cell for row in rows for cell in row]
    for shown, cell in zip([cell for row in read for cell in row], given_cells, strict=True):
        if isinstance(cell, str) and not NUMBER.fullmatch(cell):
            assert not shown.startswith(FORMULA_STARTS)
        elif cell is not None:
            assert shown == str(cell)


@pytest.mark.parametrize("text", ["-1", "+0.5", "-1e-05", "-.5"])
def test_a_negative_number_that_mlflow_keeps_as_text_stays_one(text: str) -> None:
    assert csv_cell(text) == text


@pytest.mark.parametrize(
    ("headers", "whole"),
    [
        ({}, True),
        ({"HX-Request": "true", "HX-Target": "results"}, False),
        ({"HX-Request": "true", "HX-Target": "elsewhere"}, True),
        ({"HX-Request": "true", "HX-Target": "results", "HX-Boosted": "true"}, True),
        (
            {"HX-Request": "true", "HX-Target": "results", "HX-History-Restore-Request": "true"},
            True,
        ),
    ],
)
@pytest.mark.django_db
def test_only_htmx_gets_a_part(
    headers: dict[str, str], whole: bool, client: Any, people: Any
) -> None:
    client.force_login(people.viewer)
    response = client.get("/trail/", headers=headers)
    assert ("<html" in response.content.decode()) == whole
    assert 'id="results"' in response.content.decode()
    assert "HX-Target" in response["Vary"]
