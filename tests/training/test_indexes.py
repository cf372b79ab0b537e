"""Indexes that a migration writes by hand, since Django cannot describe them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.db import connection

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
migration: Any = import_module("training.migrations.0002_versions")


def test_params_and_tags_have_an_index_where_the_database_can() -> None:
    with connection.cursor() as cursor:
        names = connection.introspection.get_constraints(cursor, "ml_training_runs").keys()
    expected = set(migration.GIN) if connection.vendor == "postgresql" else set()
    assert {name for name in names if name in migration.GIN} == expected
