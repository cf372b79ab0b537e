"""Expressions that Django does not have, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import BooleanField, F, TextField
from django.db.models.expressions import Combinable, Func, Value


class JSONText(Func):
    """The text under a key of a JSON object of texts, whatever the key looks like.

    Django's own key lookups take a key of digits for a place in a list.
    """

    output_field = TextField()

    def __init__(self, column: str, key: str) -> None:
        super().__init__(F(column), Value(key, output_field=TextField()))

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "(%(expressions)s::text)"
        return self.as_sql(compiler, connection, template=template, arg_joiner=" ->> ")

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        # A path of json_extract cannot hold every key: it has no escape for quotes.
        template = "(SELECT value FROM json_each(%(expressions)s))"
        return self.as_sql(compiler, connection, template=template, arg_joiner=") WHERE key = (")


class Like(Func):
    """Whether a text fits a pattern of SQL: % is any text, _ any letter, and nothing escapes.

    Capitals count unless `any_case`. SQLite's own LIKE cannot tell them, so a regular expression
    does it there.
    """

    output_field = BooleanField()

    def __init__(self, text: Combinable, pattern: str, *, any_case: bool = False) -> None:
        super().__init__(text, Value(pattern, output_field=TextField()))
        self.pattern, self.any_case = pattern, any_case

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        operator = "ILIKE" if self.any_case else "LIKE"
        return self.as_sql(
            compiler, connection, template="(%(expressions)s ESCAPE '')", arg_joiner=f" {operator} "
        )

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        copy = self.copy()
        expression = as_regex(self.pattern, any_case=self.any_case)
        copy.set_source_expressions(
            [self.get_source_expressions()[0], Value(expression, output_field=TextField())]
        )
        return Func.as_sql(
            copy, compiler, connection, template="(%(expressions)s)", arg_joiner=" REGEXP "
        )


def as_regex(pattern: str, *, any_case: bool = False) -> str:
    """Python's regular expression for a pattern of SQL.

    Each % but the last takes as little as it can and is not tried again, so the time stays
    linear in the text however many there are.
    """
    first, *rest = (
        "".join("." if letter == "_" else re.escape(letter) for letter in part)
        for part in pattern.split("%")
    )
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    last = f".*{rest[-1]}" if rest else ""
    return rf"(?s{'i' if any_case else ''})\A{first}{middle}{last}\Z"
