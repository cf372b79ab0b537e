"""Model fields."""

from __future__ import annotations

from typing import Any

from django.db import models


class _ByBytes(models.Field):  # type: ignore[type-arg]
    """Compared by bytes, not by a language's order, which PostgreSQL takes several times as long
    for; and its one index then finds what begins with something, too. SQLite does so anyway."""

    def db_parameters(self, connection: Any) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters = {**parameters, "collation": "C"}
        return parameters


class IdentifierField(_ByBytes, models.CharField):  # type: ignore[type-arg]
    """An id that machines gave."""


class KeyField(_ByBytes, models.TextField):  # type: ignore[type-arg]
    """A name of any length that is only ever looked up."""
