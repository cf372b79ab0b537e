"""manage.py publish_policies: the policies of the repository, published or only compared."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from e2i_site.core.errors import E2IError
from registry.actions.publish_policy import publish_policy
from registry.document.read import LARGEST, Document, DocumentInvalid, read
from registry.management import operator
from registry.models import PromotionPolicy

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Read:
    """One file: its document, or what is wrong with it as {line, column, message}."""

    path: Path
    document: Document | None
    problems: tuple[dict[str, Any], ...] = ()


class Command(BaseCommand):
    help = (
        "Publish the policies in files or folders (E2I_POLICY_DIR when none is given) that differ "
        "from their newest version: all of them, or with one wrong file none. Exit status 0: "
        "done, or with --check nothing to do; 1: a file is wrong or refused, or with --check "
        "something would change; 2: wrong usage."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
        parser.add_argument("--check", action="store_true", help="compare, publish nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument("--reason", default="", help="why; it goes on record")
        operator.add_user(parser, "publishes")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["check"] and not options["reason"].strip():
            raise CommandError("Say why with --reason, or compare with --check.", returncode=2)
        found = [_read(path) for path in _files(options["paths"] or [settings.POLICY_DIR])]
        found = _names_once(found)
        if any(each.problems for each in found):
            self._report(found, {}, as_json=options["json"])
            sys.exit(1)
        documents = [each.document for each in found if each.document]
        states = {document.name: _state(document) for document in documents}
        if not options["check"]:
            states |= _publish(documents, options["user"], options["reason"])
        self._report(found, states, as_json=options["json"])
        if options["check"] and any(state["change"] != "none" for state in states.values()):
            sys.exit(1)

    def _report(self, found: list[Read], states: dict[str, Any], *, as_json: bool) -> None:
        rows = [_row(each, states) for each in found]
        if as_json:
            self.stdout.write(json.dumps({"policies": rows}))
            return
        for row in rows:
            for problem in row["problems"]:
                where = f"{row['file']}:{problem['line']}:{problem['column']}"
                self.stderr.write(f"{where}: {problem['message']}")
            if "change" in row:
                self.stdout.write(f"{row['file']}: {_WORDS[row['change']].format(**row)}")


_WORDS = {
    "none": "{name} v{version} says the same",
    "new": "{name} would be new, v{version}",
    "changed": "{name} would change, v{version}",
    "published": "{name} v{version} published",
}


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
            if not inside:
                raise CommandError(f"No .yaml file is in {path}.", returncode=2)
            yield from inside
        elif path.is_file():
            yield path
        else:
            raise CommandError(f"There is no file or folder {path}.", returncode=2)


def _read(path: Path) -> Read:
    try:
        with path.open("rb") as file:
            source = file.read(LARGEST + 1).decode()
        return Read(path, read(source))
    except DocumentInvalid as error:
        return Read(
            path, None, tuple(_problem(p.message, p.line, p.column) for p in error.problems)
        )
    except (OSError, UnicodeDecodeError) as error:
        return Read(path, None, (_problem(f"It cannot be read as UTF-8: {error}."),))


def _problem(message: str, line: int = 1, column: int = 1) -> dict[str, Any]:
    return {"line": line, "column": column, "message": message}


def _names_once(found: list[Read]) -> list[Read]:
    first: dict[str, Path] = {}
    checked = []
    for each in found:
        name = each.document.name if each.document else ""
        if name in first:
            wrong = _problem(f"{name} is the name of the policy in {first[name]} already.")
            checked.append(Read(each.path, None, (wrong,)))
            continue
        if name:
            first[name] = each.path
        checked.append(each)
    return checked


def _state(document: Document) -> dict[str, Any]:
    newest = PromotionPolicy.objects.newest(document.name)
    if newest is None:
        return {"name": document.name, "change": "new", "version": 1}
    same = newest.content == document.content
    change, version = ("none", newest.version) if same else ("changed", newest.version + 1)
    return {"name": document.name, "change": change, "version": version}


def _publish(documents: Sequence[Document], username: str, reason: str) -> dict[str, Any]:
    """Publish what differs in one transaction; {name: its state}."""
    actor = operator.user(username)
    states = {}
    try:
        with transaction.atomic():
            for document in documents:
                if (state := _state(document))["change"] == "none":
                    continue
                policy = publish_policy(source=document.source, reason=reason, actor=actor)
                states[policy.name] = {**state, "change": "published", "version": policy.version}
    except E2IError as error:
        raise CommandError(f"{error} Nothing was published.") from error
    return states


def _row(each: Read, states: dict[str, Any]) -> dict[str, Any]:
    state = states.get(each.document.name, {}) if each.document else {}
    return {"file": str(each.path), "problems": list(each.problems), **state}
