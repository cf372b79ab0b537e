"""Reads and prints a search line, over runs or over another subject.

    search := [ term { [ "and" | "," ] term } ]
    term   := field operator value | field [ "not" ] "in" "(" value { "," value } ")"
            | ( param | tag ) "is" [ "not" ] "null" | word
    field  := [ ("metric" | "param" | "tag" | "attribute") [ "s" ] "." ] name
    name   := bare | `quoted` | "quoted"
    word   := bare | "quoted" | 'quoted'

A quote inside quotes is doubled. Operators are : = != < <= > >= ~ like ilike; a colon means =,
and may stand before another one. A bare name before an operator is an attribute, else a metric.
MLflow's own filters of runs read the same; there, too, every term has to hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a term is about."""

    METRIC = "metric"
    PARAM = "param"
    TAG = "tag"
    ATTRIBUTE = "attribute"
    WORD = "word"


KINDS = {
    "metric": Kind.METRIC,
    "metrics": Kind.METRIC,
    "param": Kind.PARAM,
    "params": Kind.PARAM,
    "parameter": Kind.PARAM,
    "parameters": Kind.PARAM,
    "tag": Kind.TAG,
    "tags": Kind.TAG,
    "attribute": Kind.ATTRIBUTE,
    "attributes": Kind.ATTRIBUTE,
    "attr": Kind.ATTRIBUTE,
    "run": Kind.ATTRIBUTE,
}
# Names that stand for themselves before an operator, and MLflow's names of the same.
ATTRIBUTES = {
    "name": "name",
    "run_name": "name",
    "run": "run",
    "run_id": "run",
    "experiment": "experiment",
    "algorithm": "algorithm",
    "framework": "framework",
    "status": "status",
    "source": "source",
    "role": "role",
    "user": "user",
    "user_id": "user",
    "by": "user",
    "started": "started",
    "start_time": "started",
    "ended": "ended",
    "end_time": "ended",
    "duration": "duration",
    "deleted": "deleted",
    "hidden": "hidden",
}


@dataclass(frozen=True)
class Subject:
    """What is searched: {each way to write an attribute: its one name}, and examples."""

    attributes: Mapping[str, str]
    example: str
    several: str

    @property
    def names(self) -> list[str]:
        """Each attribute once."""
        return list(dict.fromkeys(self.attributes.values()))


RUNS = Subject(ATTRIBUTES, "status:finished", "status in (failed, killed)")
LONGEST = 2000
MOST_TERMS = 40
_RESERVED = {"and", "or", "not", "in", "like", "ilike"}
_SPACE = re.compile(r"\s*")
_BARE_NAME = re.compile(r"[^\s\"'`(),:=!<>~]+")
_BARE_VALUE = re.compile(r"[^\s\"'`(),][^\s(),]*")
_OPERATOR = re.compile(r":?(?P<op>==|!=|<>|<=|>=|=|<|>|~)|:")
_WORD_OPERATOR = re.compile(
    r"(?P<op>(?:not\s+in|in|ilike|like)(?=[\s('\"]|$)|is\s+(?:not\s+)?null(?=[\s,]|$))",
    re.IGNORECASE,
)
IS_NULL, IS_NOT_NULL = "is null", "is not null"
_SAME = {"": "=", "==": "=", "<>": "!="}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PLAIN_NAME = re.compile(r"[\w./@%+-]+")
_PLAIN_VALUE = re.compile(r"[\w./@%+-][^\s\"'`(),]*")


@dataclass(frozen=True)
class Term:
    """One condition. `start`, `value_at` and `end` are places in the line, for messages.

    "is null" and "is not null" have no values.
    """

    kind: Kind
    name: str
    op: str
    values: tuple[str, ...]
    start: int = field(default=0, compare=False)
    value_at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def value(self) -> str:
        return self.values[0]

    def __str__(self) -> str:
        if self.kind == Kind.WORD:
            return _printed_word(self.value)
        name = printed_name(self.name)
        subject = name if self.kind == Kind.ATTRIBUTE else f"{self.kind}.{name}"
        if self.op in ("in", "not in"):
            return f"{subject} {self.op} ({', '.join(map(_printed, self.values))})"
        if not self.values:
            return f"{subject} {self.op}"
        space = " " if self.op.isalpha() else ""
        return f"{subject}{space}{self.op}{space}{_printed(self.value)}"


class SearchError(Exception):
    """What is not understood, between which places of the line, and what to write instead."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message, self.start, self.end = message, start, end


def printed_name(name: str) -> str:
    """A name as a line has it, in quotes where it needs them."""
    return name if _PLAIN_NAME.fullmatch(name) else _quoted(name, "`")


def printed(terms: Iterable[Term]) -> str:
    """The line that reads as `terms`."""
    return " ".join(map(str, terms))


def parse(line: str, subject: Subject = RUNS) -> tuple[Term, ...]:
    """The terms of a line about `subject`; SearchError where it cannot be read."""
    if len(line) > LONGEST:
        raise SearchError(f"A search may have {LONGEST:,} characters.", LONGEST, len(line))
    if found := _CONTROL.search(line):
        raise SearchError("This character cannot be searched for.", *found.span())
    return tuple(_Reader(line, subject).terms())


class _Reader:
    """Goes through a line from left to right."""

    def __init__(self, line: str, subject: Subject) -> None:
        self.line, self.at, self.subject = line, 0, subject

    def terms(self) -> list[Term]:
        found: list[Term] = []
        while self._more():
            if found and self._joined():
                continue
            found.append(self._term())
            if len(found) > MOST_TERMS:
                raise SearchError(
                    f"A search may have {MOST_TERMS} conditions.", found[-1].start, found[-1].end
                )
        return found

    def _more(self) -> bool:
        self.at = self._past_space()
        return self.at < len(self.line)

    def _past_space(self) -> int:
        found = _SPACE.match(self.line, self.at)
        return found.end() if found else self.at

    def _joined(self) -> bool:
        """Step over a comma or an "and" between terms."""
        found = re.compile(r",|and(?=\s)", re.IGNORECASE).match(self.line, self.at)
        if found:
            self.at = found.end()
        return bool(found)

    def _term(self) -> Term:
        start = self.at
        kind, name, is_quoted = self._subject()
        named = bool(kind) or (not is_quoted and name.lower() in self.subject.attributes)
        op = self._operator(words=named)
        if not op:
            return self._word(kind, name, is_quoted, start)
        kind, name = self._resolved(kind, name, is_quoted, start)
        if op in (IS_NULL, IS_NOT_NULL):
            return self._absence(kind, name, op, start)
        value_at = self._past_space()
        values = self._list() if op in ("in", "not in") else (self._value(),)
        return Term(kind, name, op, values, start, value_at, self.at)

    def _absence(self, kind: Kind, name: str, op: str, start: int) -> Term:
        if kind not in (Kind.PARAM, Kind.TAG):
            raise SearchError(
                f"Only of a parameter or a tag can be asked whether it {op}, as in tag.team {op}.",
                start,
                self.at,
            )
        return Term(kind, name, op, (), start, self.at, self.at)

    def _subject(self) -> tuple[Kind | None, str, bool]:
        """Kind where it is written, name, and whether the name is in quotes."""
        start = self.at
        if self.line[start] in "\"'`":
            return None, self._in_quotes(), True
        found = _BARE_NAME.match(self.line, start)
        if found is None:
            raise SearchError(
                f"A condition begins with a name, as in metric.auc>0.9 or {self.subject.example}.",
                start,
                start + 1,
            )
        self.at = found.end()
        prefix, dot, name = found[0].partition(".")
        kind = KINDS.get(prefix.lower()) if dot else None
        if kind is None:
            return None, found[0], False
        if not name and self.line[self.at : self.at + 1] in ("`", '"'):
            name = self._in_quotes()
        if not name:
            raise SearchError(f"A name is missing, as in {prefix}.name=1.", start, self.at)
        return kind, name, False

    def _operator(self, *, words: bool) -> str:
        """The operator that follows, in its one spelling; empty when none does."""
        at = self._past_space()
        if found := _OPERATOR.match(self.line, at):
            self.at = found.end()
            op = found["op"] or ""
            return _SAME.get(op, op)
        found = _WORD_OPERATOR.match(self.line, at) if words else None
        if found is None:
            return ""
        self.at = found.end()
        return " ".join(found["op"].lower().split())

    def _word(self, kind: Kind | None, name: str, is_quoted: bool, start: int) -> Term:
        if kind is not None:
            raise SearchError(
                f"A comparison is missing after {kind}.{name}, as in "
                f"{_EXAMPLES.get(kind) or self.subject.example}.",
                start,
                self.at,
            )
        if name == "OR" and not is_quoted:
            raise SearchError(
                "There is no OR: all conditions have to hold. For one of several values write "
                f"{self.subject.several}.",
                start,
                self.at,
            )
        if not name.strip():
            raise SearchError("There is nothing between the quotes.", start, self.at)
        return Term(Kind.WORD, "", "", (name,), start, start, self.at)

    def _resolved(
        self, kind: Kind | None, name: str, is_quoted: bool, start: int
    ) -> tuple[Kind, str]:
        """Without a kind it is an attribute if there is one, else a metric."""
        if not name:
            raise SearchError("A name is missing before the comparison.", start, self.at)
        attribute = self.subject.attributes.get(name.lower())
        if attribute and (kind == Kind.ATTRIBUTE or (kind is None and not is_quoted)):
            return Kind.ATTRIBUTE, attribute
        if kind == Kind.ATTRIBUTE:
            known = ", ".join(self.subject.names)
            raise SearchError(f"There is no attribute {name}; there are {known}.", start, self.at)
        return kind or Kind.METRIC, name

    def _list(self) -> tuple[str, ...]:
        start = self.at = self._past_space()
        if self.line[start : start + 1] != "(":
            raise SearchError("A list in brackets is missing, as in (a, b).", start, start + 1)
        self.at += 1
        values = []
        while True:
            values.append(self._value())
            self.at = self._past_space()
            end = self.line[self.at : self.at + 1]
            self.at += 1
            if end == ")":
                return tuple(values)
            if end != ",":
                raise SearchError("The list is not closed with a bracket.", start, self.at)

    def _value(self) -> str:
        start = self.at = self._past_space()
        if self.line[start : start + 1] in ("'", '"', "`"):
            return self._in_quotes()
        found = _BARE_VALUE.match(self.line, start)
        if found is None:
            raise SearchError("A value is missing here.", max(0, start - 1), start + 1)
        self.at = found.end()
        return found[0]

    def _in_quotes(self) -> str:
        start, quote = self.at, self.line[self.at]
        found = re.compile(f"{quote}((?:[^{quote}]|{quote}{quote})*){quote}").match(
            self.line, start
        )
        if found is None:
            raise SearchError(f"The quote {quote} is not closed.", start, len(self.line))
        self.at = found.end()
        return found[1].replace(quote * 2, quote)


_EXAMPLES = {
    Kind.METRIC: "metric.auc>0.9",
    Kind.PARAM: "param.lr=0.1",
    Kind.TAG: "tag.team:churn",
}


def _printed(value: str) -> str:
    return value if _PLAIN_VALUE.fullmatch(value) else _quoted(value, "'")


def _printed_word(word: str) -> str:
    is_plain = _PLAIN_NAME.fullmatch(word) and word.lower() not in _RESERVED
    is_kinded = "." in word and word.partition(".")[0].lower() in KINDS
    return word if is_plain and not is_kinded else _quoted(word, '"')


def _quoted(text: str, quote: str) -> str:
    return f"{quote}{text.replace(quote, quote * 2)}{quote}"
