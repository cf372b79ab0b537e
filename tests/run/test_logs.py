"""Log lines: readable, whole, without secrets."""

from __future__ import annotations

import json
import logging
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2i_site import logs
from e2i_site.core.errors import ConfigurationError
from e2i_site.trail import context
from e2i_site.trail.models import Source


def _record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("registry.carry", logging.WARNING, "f.py", 1, message, args, info)


@pytest.mark.parametrize("formatter", [logs.TextFormatter(), logs.JsonFormatter()])
def test_secrets_in_arguments_and_tracebacks_are_hidden(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("postgresql://e2i:hunter2@db/e2i refused, token=abc123def")
    except ValueError as error:
        line = formatter.format(
            _record('login with password="hunter2" %s', "api_key=k3y", error=error)
        )
    assert "hunter2" not in line
    assert "k3y" not in line
    assert "abc123def" not in line
    assert "ValueError" in line


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_json_lines_are_one_json_object(message: str) -> None:
    line = logs.JsonFormatter().format(_record("%s", message))
    assert "\n" not in line
    assert json.loads(line)["logger"] == "registry.carry"


def test_lines_of_one_request_share_its_id() -> None:
    request_id = uuid.uuid4()
    with context.acting(Source.WEB, request_id):
        inside = logs.TextFormatter().format(_record("carried"))
    assert str(request_id) in inside
    assert "request" not in logs.TextFormatter().format(_record("carried"))


def test_an_unknown_level_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match="E2I_LOG_LEVEL='LOUD'"):
        logs.configuration("LOUD", as_json=False)
