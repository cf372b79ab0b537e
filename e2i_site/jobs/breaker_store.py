"""The circuit breaker's state in the database, so that all processes share it."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import F

from e2i_site.jobs.models import BreakerRecord
from e2i_site.mlflow_connector.breaker import BreakerData

NAME = "mlflow"


class DatabaseStore:
    """Compare-and-set on a version number; the lock is never held during a call to MLflow."""

    def read(self) -> BreakerData:
        """The state now; one query."""
        record = BreakerRecord.objects.filter(name=NAME).first()
        return BreakerData.from_dict(record.data) if record else BreakerData()

    def update(self, change: Callable[[BreakerData], BreakerData]) -> BreakerData:
        """Apply `change` atomically. It runs again when another process was first."""
        while True:
            record, _ = BreakerRecord.objects.get_or_create(name=NAME)
            before = BreakerData.from_dict(record.data)
            after = change(before)
            if after == before:
                return after
            mine = BreakerRecord.objects.filter(name=NAME, version=record.version)
            if mine.update(data=after.as_dict(), version=F("version") + 1):
                return after
