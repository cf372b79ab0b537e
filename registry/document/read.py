"""Reading a policy document: YAML as text, with the place of everything that is wrong in it.

The text is read as YAML 1.2's core: true and false, decimal numbers, null, and texts. Dates and
clock times stay texts. Tags, anchors and aliases are refused: a policy is what stands there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from e2i_site.core.errors import InvalidInput
from registry.document.schema import Path, Problem, problems

LARGEST = 64 * 1024
DEEPEST = 20
_CORE: tuple[tuple[str, str, str], ...] = (
    ("null", r"(?:~|null|Null|NULL|)", "~nN\0"),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", "tTfF"),
    ("int", r"[-+]?[0-9]{1,15}", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+0123456789."),
)
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, order=True)
class Placed:
    """A problem and where it stands; lines and columns count from 1."""

    line: int
    column: int
    message: str
    path: Path = field(default=(), compare=False)

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer (RFC 6901): /stages/staging/gates/0/id"""
        parts = (str(part).replace("~", "~0").replace("/", "~1") for part in self.path)
        return "".join(f"/{part}" for part in parts)

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


class DocumentInvalid(InvalidInput):
    """A document that cannot be published; `problems` are all of them, in the text's order."""

    def __init__(self, found: list[Placed]) -> None:
        self.problems = sorted(found)
        super().__init__(" ".join(map(_sentence, self.problems)), field="source")
        self.details = [
            {
                "field": "source",
                "detail": each.message,
                "pointer": each.pointer,
                "line": each.line,
                "column": each.column,
            }
            for each in self.problems
        ]


@dataclass(frozen=True)
class Document:
    """A policy document without a problem, and its text."""

    source: str
    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.data["name"])

    @property
    def content(self) -> dict[str, Any]:
        """The columns of `PromotionPolicy` that it fills."""
        return {
            "description": self.data.get("description", "").strip(),
            "notice": self.data.get("notice", "").strip(),
            "model_patterns": list(self.data.get("models", ())),
            "stages": self.data["stages"],
        }


def read(source: str) -> Document:
    """The document that `source` holds. Raises `DocumentInvalid` with every problem."""
    source = source.replace("\r\n", "\n")
    if len(source.encode(errors="replace")) > LARGEST:
        raise DocumentInvalid([Placed(1, 1, f"A policy has at most {LARGEST // 1024} KiB.")])
    builder = _Builder()
    data = builder.build(_tree(source))
    found = [*builder.wrong] or [builder.placed(each) for each in problems(data)]
    if found:
        raise DocumentInvalid(found)
    return Document(source, data)


def _tree(source: str) -> yaml.Node:
    try:
        node = yaml.compose(source, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise DocumentInvalid([Placed(line, column, f"Not YAML: {error.problem}.")]) from None
    except yaml.reader.ReaderError as error:
        before = source[: error.position]
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        raise DocumentInvalid([Placed(line, column, "This character is not allowed.")]) from None
    if node is None:
        raise DocumentInvalid([Placed(1, 1, "The document is empty.")])
    return node


class _Loader(yaml.SafeLoader):
    """Composes nodes; refuses aliases, several documents and what is nested without end."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(
                problem="anchors and aliases are not read; write it out",
                problem_mark=event.start_mark,
            )
        if self.depth >= DEEPEST:
            raise yaml.MarkedYAMLError(
                problem=f"nested deeper than {DEEPEST} levels", problem_mark=event.start_mark
            )
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


_Loader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"^{_pattern}$"), [*_first, ""])


class _Builder:
    """Plain values from nodes; notes where each stands, and what is no plain value."""

    def __init__(self) -> None:
        self.places: dict[Path, yaml.Mark] = {}
        self.wrong: list[Placed] = []

    def placed(self, problem: Problem) -> Placed:
        """The problem at its own place, else at that of the nearest thing around it."""
        path = problem.path
        while path and path not in self.places:
            path = path[:-1]
        mark = self.places[path]
        return Placed(mark.line + 1, mark.column + 1, str(problem), problem.path)

    def build(self, node: yaml.Node, path: Path = ()) -> Any:
        self.places.setdefault(path, node.start_mark)
        if isinstance(node, yaml.MappingNode):
            self._expect(node, path, "map")
            return dict(self._items(node, path))
        if isinstance(node, yaml.SequenceNode):
            self._expect(node, path, "seq")
            return [self.build(item, (*path, n)) for n, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _items(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        first: dict[str, yaml.Mark] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._note(key, path, "A key is a single word.")
                continue
            name = self._text(key, path)
            here = (*path, name)
            if name in first:
                self._note(
                    key, here, f"{name} is there twice, first in line {first[name].line + 1}."
                )
                continue
            first[name] = self.places[here] = key.start_mark
            yield name, self.build(value, here)

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text = self._text(node, path)
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text)
            case "float":
                return float(text)
        self._expect(node, path, "str")
        return text

    def _text(self, node: yaml.ScalarNode, path: Path) -> str:
        text = str(node.value)
        if any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in text):
            self._note(node, path, "This text holds a character that cannot be stored.")
            return "?"
        return text

    def _expect(self, node: yaml.Node, path: Path, kind: str) -> None:
        if node.tag != _TAG + kind:
            self._note(node, path, f"Tags are not read; take {node.tag} away.")

    def _note(self, node: yaml.Node, path: Path, message: str) -> None:
        mark = node.start_mark
        self.wrong.append(Placed(mark.line + 1, mark.column + 1, message, path))


def _sentence(problem: Placed) -> str:
    text = str(problem)
    return text[:1].upper() + text[1:]
