"""The table of names that runs use, for completing a search line."""

from __future__ import annotations

from collections.abc import Iterable

from e2i_site.mlflow_connector.sources import RunRecord
from training.models import SearchName

Name = tuple[str, str]
BATCH = 500


def names_of(records: Iterable[RunRecord]) -> set[Name]:
    """(kind, name) of everything that the runs have."""
    found: dict[str, set[str]] = {"metric": set(), "param": set(), "tag": set()}
    for record in records:
        found["metric"].update(record.metrics)
        found["param"].update(record.run.params)
        found["tag"].update(record.run.tags)
    return {(kind, name) for kind, names in found.items() for name in names}


def remember(names: Iterable[Name]) -> None:
    """Add names; those that are known stay."""
    # In one order, so that two writers never wait for each other.
    rows = [SearchName(kind=kind, name=name) for kind, name in sorted(names)]
    SearchName.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)
