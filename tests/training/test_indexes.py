"""Indexes of the runs that Django cannot describe, or that only pay in one database."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.db import connection

from tests.factories.training import TrainingRunFactory
from training.models import RunMetric, TrainingRun

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
migration: Any = import_module("training.migrations.0002_versions")


def constraints(table: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        return dict(connection.introspection.get_constraints(cursor, table))


def test_params_and_tags_have_an_index_where_the_database_can() -> None:
    expected = set(migration.GIN) if connection.vendor == "postgresql" else set()
    assert {name for name in constraints("ml_training_runs") if name in migration.GIN} == expected


def test_no_index_begins_with_another_whole_one() -> None:
    """Such a one is written with each run and never needed."""
    found = [
        tuple(each["columns"])
        for name, each in constraints("ml_training_runs").items()
        if each["index"] and each["columns"] and None not in each["columns"]
        if name not in migration.GIN
    ]
    partial = {("mlflow_run_id",)}  # two with different conditions, beside the unique one
    for each in set(found) - partial:
        longer = [other for other in found if other != each and other[: len(each)] == each]
        assert not longer, f"{each} is the beginning of {longer}"


def test_ids_are_found_by_their_beginning_with_the_one_index_they_have() -> None:
    TrainingRunFactory(mlflow_run_id="a1b2")
    found = TrainingRun.objects.filter(mlflow_run_id__startswith="a1").order_by().only("pk")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
            plan = found.explain()
            assert "run_mlflow_id_once" in plan
            assert "Index Cond: " in plan
            cursor.execute(
                "SELECT collation_name FROM information_schema.columns WHERE table_name = %s"
                " AND column_name = 'key'",
                [RunMetric._meta.db_table],
            )
            assert cursor.fetchone() == ("C",)
    assert found.get().pk
