"""The table of names that runs use, for completing a search line."""

from __future__ import annotations

from collections.abc import Iterable

from e2i_site.mlflow_connector.sources import RunRecord
from training.models import SearchName

Name = tuple[str, str]
BATCH = 500


def names_of(records: Iterable[RunRecord]) -> set[Name]:
    """(kind, name) of everything that the runs have."""
    found: set[Name] = set()
    for record in records:
        found.update(("metric", name) for name in record.metrics)
        found.update(("param", name) for name in record.run.params)
        found.update(("tag", name) for name in record.run.tags)
    return found


def remember(names: Iterable[Name]) -> None:
    """Add names; those that are known stay."""
    # In one order, so that two writers never wait for each other.
    rows = [SearchName(kind=kind, name=name) for kind, name in sorted(names)]
    SearchName.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)
