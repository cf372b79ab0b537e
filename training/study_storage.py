"""Where Optuna keeps its studies, so that several workers share them."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import connection

SCHEMA = "optuna"


def storage_url() -> str:
    """SQLAlchemy URL of the studies: a schema of our PostgreSQL, else an SQLite file of its own."""
    if connection.vendor == "sqlite":
        return f"sqlite:///{Path(settings.DATA_DIR) / 'optuna.sqlite3'}"
    from sqlalchemy import URL

    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    given = {
        name: str(value)
        for name, value in connection.get_connection_params().items()
        if isinstance(value, str | int) and not isinstance(value, bool) and value != ""
    }
    options = f"{given.pop('options', '')} -csearch_path={SCHEMA}".strip()
    url = URL.create(
        "postgresql+psycopg2",
        username=given.pop("user", None),
        password=given.pop("password", None),
        database=given.pop("dbname"),
        query={**given, "options": options},
    )
    return url.render_as_string(hide_password=False)
