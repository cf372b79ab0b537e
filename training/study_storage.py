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
    given = connection.settings_dict
    return URL.create(
        "postgresql+psycopg2",
        username=given["USER"] or None,
        password=given["PASSWORD"] or None,
        host=given["HOST"] or None,
        port=int(given["PORT"]) if given["PORT"] else None,
        database=given["NAME"],
        query={"options": f"-csearch_path={SCHEMA}"},
    ).render_as_string(hide_password=False)
