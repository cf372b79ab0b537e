"""Many rows at once: the same values as Django would store, all of them or none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.backends.sqlite3.base import DatabaseWrapper
from hypothesis import given
from hypothesis import strategies as st

from tests.factories.training import TrainingRunFactory
from training.models import RunMetric
from training.sync import insert, metric_rows

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.integers(-2_208_988_800_000_000, 221_845_392_000_000_000), ZONES)
def test_sqlite_keeps_moments_as_django_does(microseconds: int, zone: timezone) -> None:
    moment = (EPOCH + timedelta(microseconds=microseconds)).astimezone(zone)
    assert insert._parameter(moment) == DatabaseWrapper.ops_class(
        connection
    ).adapt_datetimefield_value(moment)


@pytest.mark.django_db
def test_rows_that_need_several_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insert, "MOST_PARAMETERS", 7)
    run = TrainingRunFactory(metrics={})
    wanted = {f"metric {number} é": number / 7 for number in range(20)} | {"up": float("inf")}
    metric_rows.add({run.pk: metric_rows.encode(wanted)})
    found = dict(RunMetric.objects.filter(run=run).values_list("key", "value"))
    assert wanted.items() <= found.items()


@pytest.mark.django_db
def test_a_row_that_is_there_is_an_error_of_django() -> None:
    run = TrainingRunFactory(metrics={})
    encoded = metric_rows.encode({"rmse": 1.0, "mae": 2.0})
    metric_rows.add({run.pk: encoded})
    with pytest.raises(IntegrityError), transaction.atomic():
        metric_rows.add({run.pk: metric_rows.encode({"new": 3.0, "mae": 2.0})})
    assert not RunMetric.objects.filter(key="new").exists()
