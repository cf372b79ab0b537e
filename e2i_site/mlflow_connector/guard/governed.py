"""What is governed, as the guard knows it: a file that E2I writes whenever it changes."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

logger = logging.getLogger(__name__)

# E2I's part of a version's description in MLflow; the rest belongs to people.
NOTE = re.compile(r"<!-- e2i -->.*?<!-- /e2i -->", re.DOTALL)


def note_digest(description: str) -> str:
    """SHA-256 of E2I's paragraphs in a description; empty when there is none."""
    found = NOTE.findall(description)
    return hashlib.sha256("\n".join(found).encode()).hexdigest() if found else ""


@dataclass(frozen=True, slots=True)
class Version:
    """A governed version: its latest promotion, and the digest of E2I's paragraph in MLflow."""

    model: str
    version: str
    promotion: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Governed:
    """Everything governed. `known` is false while E2I has not said what that is."""

    site: str = ""
    versions: Mapping[tuple[str, str], Version] = field(default_factory=dict)
    models: frozenset[str] = frozenset()
    runs: Mapping[str, Version] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    logged_models: Mapping[str, Version] = field(default_factory=dict)
    experiments: Mapping[str, str] = field(default_factory=dict)
    known: bool = True

    def page_of(self, model: str, version: str = "") -> str:
        """The address where people see, or ask for, what is to change."""
        found = self.versions.get((model, version))
        if found and found.promotion:
            return f"{self.site}/registry/promotions/{found.promotion}/"
        return f"{self.site}/registry/models/{quote(model)}/"


UNKNOWN = Governed(known=False)


def parse(document: dict[str, Any]) -> Governed:
    """The file's content. Raises KeyError, TypeError or ValueError when it is not such a file."""
    versions = {}
    runs, logged, ended = {}, {}, set()
    for row in document["versions"]:
        version = Version(row["model"], str(row["version"]), row["promotion"], row["note"])
        versions[version.model, version.version] = version
        if row["run"]:
            runs[row["run"]] = version
            if row["ended"]:
                ended.add(row["run"])
        if row["logged_model"]:
            logged[row["logged_model"]] = version
    return Governed(
        site=document["site"].rstrip("/"),
        versions=versions,
        models=frozenset(document["models"]),
        runs=runs,
        ended=frozenset(ended),
        logged_models=logged,
        experiments=dict(document["experiments"]),
    )


class GovernedFile:
    """The file, read again whenever it was replaced.

    What was read last is kept while the file cannot be read: what was governed stays governed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._governed = UNKNOWN

    def current(self) -> Governed:
        """What is governed now; `UNKNOWN` when the file could never be read."""
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp != self._stamp:
                self._governed = parse(json.loads(self._path.read_bytes()))
                self._stamp = stamp
        except (OSError, KeyError, TypeError, ValueError) as error:
            logger.warning("E2I's list of governed models cannot be read: %r", error)
        return self._governed
