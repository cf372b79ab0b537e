"""Names that the search line over models may hold."""

from __future__ import annotations

from django.db import connection

from training.search import completion
from training.search.completion import SUGGESTIONS

_TAGS = {
    "postgresql": "SELECT DISTINCT tag FROM ml_registered_models, jsonb_object_keys(tags) tag",
    "sqlite": "SELECT DISTINCT tag.key FROM ml_registered_models, json_each(tags) tag",
}


def known_names(kind: str, part: str) -> list[str]:
    """Tags are those of models; metrics and parameters those of the runs behind them."""
    if kind != "tag":
        return completion.known_names(kind, part)
    with connection.cursor() as cursor:
        cursor.execute(_TAGS[connection.vendor])
        names = [name for (name,) in cursor.fetchall()]
    asked = part.lower()
    fitting = [name for name in names if asked in name.lower()]
    fitting.sort(key=lambda name: (not name.lower().startswith(asked), name))
    return fitting[:SUGGESTIONS]
