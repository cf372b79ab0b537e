"""The migration that indexes the metrics of runs that were mirrored before."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from tests.factories.training import TrainingRunFactory
from training.models import RunMetric

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
migration: Any = import_module("training.migrations.0002_mirror")


def test_metrics_of_runs_that_are_there_are_indexed() -> None:
    run = TrainingRunFactory(metrics={"auc": 0.5, "bad": "NaN", "low": "-Infinity"})
    TrainingRunFactory(metrics={})
    RunMetric.objects.all().delete()  # as it was before there was an index
    migration.fill_metrics(apps, None)
    rows = RunMetric.objects.order_by("key").values_list("run_id", "key", "value")
    assert list(rows) == [(run.pk, "auc", 0.5), (run.pk, "low", float("-inf"))]


def test_params_and_tags_have_an_index_where_the_database_can() -> None:
    with connection.cursor() as cursor:
        names = connection.introspection.get_constraints(cursor, "ml_training_runs").keys()
    expected = set(migration.GIN) if connection.vendor == "postgresql" else set()
    assert {name for name in names if name in migration.GIN} == expected
