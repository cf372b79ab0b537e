"""Which deployment answered at any moment, replayed from the rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from deployments.models import Deployment
from registry.rollouts import Served


def serving_at(models: Collection[str] | None, moment: datetime) -> list[Served]:
    """What answered or shadowed at `moment`, by endpoint; 1 query.

    One deployment an endpoint, environment and role answers at a time. It begins when a
    deployment is activated, or is put back by the rollback of its successor, and ends with the
    next beginning or when it was stopped.
    """
    rows = Deployment.objects.filter(deployed_at__lte=moment).select_related("entry")
    if models is not None:
        rows = rows.filter(entry__model__name__in=models)
    known = {row.pk: row for row in rows.defer("shadow_metrics", "production_metrics")}
    last: dict[tuple[str, str, bool], tuple[datetime, int]] = {}
    for at, pk in sorted(_beginnings(known.values(), moment)):
        if (row := known.get(pk)) is not None:
            last[row.endpoint_name, row.environment, row.is_shadow] = (at, pk)
    found = [
        _served(known[pk], since) for since, pk in last.values() if not _ended(known[pk], moment)
    ]
    return sorted(found, key=lambda each: (each.endpoint, each.environment, each.deployment))


def _beginnings(rows: Iterable[Deployment], moment: datetime) -> Iterable[tuple[datetime, int]]:
    for row in rows:
        if row.deployed_at is not None:
            yield row.deployed_at, row.pk
        if row.rolled_back_at and row.rolled_back_at <= moment and row.previous_deployment_id:
            yield row.rolled_back_at, row.previous_deployment_id


def _ended(row: Deployment, moment: datetime) -> bool:
    return row.deactivated_at is not None and row.deactivated_at <= moment


def _served(row: Deployment, since: datetime) -> Served:
    return Served(
        model=row.entry.model_id,
        version=row.entry.model_version,
        deployment=row.pk,
        endpoint=row.endpoint_name,
        environment=row.environment,
        strategy=row.strategy,
        words=f"{row.get_environment_display()}, {row.get_strategy_display().lower()}",
        digest=row.artifact_digest,
        since=since,
        url=row.get_absolute_url(),
    )
