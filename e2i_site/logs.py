"""How E2I logs: one line an event on standard error, secrets hidden, the request id on each.

Text for people, or with E2I_LOG_JSON=1 one JSON object a line for machines.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from e2i_site.core.errors import ConfigurationError

# A line for every wake-up, request to MLflow or process start is noise.
QUIET = ("celery", "httpx", "axes")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def configuration(level: str, as_json: bool) -> dict[str, Any]:
    """Django's LOGGING. Raises ConfigurationError for an unknown level."""
    if level not in LEVELS:
        raise ConfigurationError(f"E2I_LOG_LEVEL={level!r} is none of {', '.join(LEVELS)}.")
    formatter = "JsonFormatter" if as_json else "TextFormatter"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": f"e2i_site.logs.{formatter}"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Its own handlers would say everything twice.
            "django": {"handlers": [], "level": level, "propagate": True},
            **{name: {"level": max(level, "WARNING", key=LEVELS.index)} for name in QUIET},
        },
    }


class MaskingFormatter(logging.Formatter):
    """Hides secrets in the message and in the traceback, however they were logged."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        from e2i_site.mlflow_connector.masking import mask_text

        trace = self.formatException(record.exc_info) if record.exc_info else ""
        return self.compose(record, mask_text(record.getMessage()), mask_text(trace))

    def compose(self, record: logging.LogRecord, message: str, trace: str) -> str:
        raise NotImplementedError

    def time_of(self, record: logging.LogRecord) -> str:
        return self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ")


class TextFormatter(MaskingFormatter):
    """`2026-11-23T13:05:00Z WARNING registry.carry: message [request 3f…]`, then a traceback."""

    def compose(self, record: logging.LogRecord, message: str, trace: str) -> str:
        request = f" [request {found}]" if (found := _request_id()) else ""
        line = f"{self.time_of(record)} {record.levelname} {record.name}: {message}{request}"
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(MaskingFormatter):
    """One object a line: time, level, logger, process, message; request and error if any."""

    def compose(self, record: logging.LogRecord, message: str, trace: str) -> str:
        fields = {
            "time": self.time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": message,
            "request": _request_id(),
            "error": trace,
        }
        return json.dumps({key: value for key, value in fields.items() if value != ""})


def _request_id() -> str:
    """Id of the request or job at work; empty outside one."""
    # Not imported: the first lines are logged before the apps are loaded.
    context = sys.modules.get("e2i_site.trail.context")
    present = getattr(context, "_current", None)
    return str(found.request_id) if present and (found := present.get()) else ""
