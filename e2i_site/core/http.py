"""HTTP habits that all views share: errors, redirects, `next`, CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import quote

from django.forms import BaseForm
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect

from e2i_site.core.errors import Conflict, E2IError, InvalidInput, Refused

Answer = Callable[[HttpRequest], HttpResponseBase]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


class ErrorPages:
    """Middleware: an error that a view lets through becomes a page that says what and why.

    InvalidInput is 400, Refused 403, Conflict 409. htmx gets the words in a header, which
    e2i.js shows as a message.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\x00" in request.path_info:
            raise Http404("No name has a NUL in it, and PostgreSQL takes none.")
        if "%00" in request.META.get("QUERY_STRING", "") and not request.path.startswith("/api/"):
            return problem_page(request, InvalidInput("The address has a NUL in it."))
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, InvalidInput | Refused | Conflict):
            return None
        return problem_page(request, error)


def problem_page(request: HttpRequest, error: E2IError) -> HttpResponse:
    """The page, or the htmx answer, for one of our errors."""
    status, title = _describe(error)
    reasons = error.reasons if isinstance(error, Refused) else (str(error),)
    if getattr(request, "htmx", None):
        response = HttpResponse(str(error), status=status, content_type="text/plain; charset=utf-8")
        response["X-E2I-Message"] = quote(str(error))
        return response
    context = {
        "title": title,
        "reasons": reasons,
        "status": status,
        "back": safe_url(request, request.headers.get("Referer", "")),
    }
    return render(request, "components/problem.html", context, status=status)


def _describe(error: E2IError) -> tuple[int, str]:
    if isinstance(error, Refused):
        return 403, "This is not allowed"
    if isinstance(error, Conflict):
        return 409, "Somebody else was faster"
    return 400, "This cannot be accepted"


@contextmanager
def errors_on(form: BaseForm) -> Iterator[None]:
    """Turn our errors inside the block into errors of a valid form, so that nothing typed is lost.

    Afterwards `form.errors` tells whether the act was done.
    """
    try:
        yield
    except InvalidInput as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
    except Refused as error:
        form.add_error(None, list(error.reasons))
    except Conflict as error:
        form.add_error(None, str(error))


def number_in(text: str) -> int | None:
    """The whole number that `text` writes; None for any other, or one that no key can be."""
    is_number = text.isascii() and text.isdecimal() and len(text) < 19
    return int(text) if is_number else None


def safe_url(request: HttpRequest, url: str, default: str = "") -> str:
    """`url` when it leads to this site, else `default`."""
    allowed = url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    # Without a slash a redirect would take it for the name of a view.
    return url if allowed and "/" in url else default


def next_url(request: HttpRequest, default: str) -> str:
    """Where the request's own `next` leads, if that is on this site; else `default`."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    return safe_url(request, wanted, resolve_url(default))


def go_to(request: HttpRequest, to: Any, **kwargs: Any) -> HttpResponse:
    """A redirect that htmx follows as a whole page. `to`: URL, view name or model."""
    url = resolve_url(to, **kwargs)
    if getattr(request, "htmx", None):
        return HttpResponseClientRedirect(url)
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


class _Writer(Protocol):
    def writerow(self, row: Iterable[Any], /) -> Any: ...


class _Echo:
    """A file that hands each line back."""

    def write(self, line: str) -> str:
        return line


def csv_cell(value: Any) -> Any:
    """`value` as a cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return "" if value is None else value


def csv_response(
    name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """Stream `rows` as a CSV download called `name`.csv, UTF-8."""
    writer: _Writer = csv.writer(_Echo())

    def lines() -> Iterator[str]:
        yield writer.writerow([csv_cell(name) for name in header])
        for row in rows:
            yield writer.writerow([csv_cell(value) for value in row])

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}.csv"
    return response
