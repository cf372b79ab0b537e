"""Data that pages of deployments gather across models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import QuerySet, Subquery
from django.utils import timezone

from deployments.choices import DeploymentStatus, Environment
from deployments.models import Deployment, GatewayInstance, TrafficMinute
from deployments.shadow.histogram import Histogram, merged
from e2i_site.jobs.models import Job

# What the board calls live traffic.
RECENT = timedelta(minutes=15)
# A gateway writes its row every few seconds; silent for longer, it does not answer.
GATEWAY_SILENT = timedelta(seconds=30)
CHAIN_LENGTH = 10
# A chart has at most so many points; longer ranges are put together.
MOST_POINTS = 72


@dataclass(frozen=True)
class Traffic:
    """What one deployment did in a span of time. Latencies in ms, None without a request."""

    span: timedelta
    requests: int = 0
    errors: int = 0
    rejected: int = 0
    dropped: int = 0
    compared: int = 0
    disagreements: int = 0
    difference_sum: float = 0.0
    difference_max: float = 0.0
    latency: Histogram = field(default_factory=Histogram)

    @property
    def error_rate(self) -> float | None:
        return self.errors / self.requests if self.requests else None

    @property
    def per_minute(self) -> float:
        return self.requests / (self.span / timedelta(minutes=1))

    @property
    def p50(self) -> float | None:
        return self.latency.quantile(0.50)

    @property
    def p95(self) -> float | None:
        return self.latency.quantile(0.95)

    @property
    def p99(self) -> float | None:
        return self.latency.quantile(0.99)

    @property
    def disagreement_rate(self) -> float | None:
        return self.disagreements / self.compared if self.compared else None

    @property
    def difference_mean(self) -> float | None:
        return self.difference_sum / self.compared if self.compared else None


def total(minutes: Iterable[TrafficMinute], span: timedelta) -> Traffic:
    """The sum of `minutes`."""
    rows = list(minutes)
    return Traffic(
        span=span,
        requests=sum(row.requests for row in rows),
        errors=sum(row.errors for row in rows),
        rejected=sum(row.rejected for row in rows),
        dropped=sum(row.dropped for row in rows),
        compared=sum(row.compared for row in rows),
        disagreements=sum(row.disagreements for row in rows),
        difference_sum=sum(row.difference_sum for row in rows),
        difference_max=max((row.difference_max for row in rows), default=0.0),
        latency=merged(Histogram.from_json(row.latency) for row in rows),
    )


@dataclass(frozen=True)
class Point:
    """One point of a chart: the traffic from `start` for its span."""

    start: datetime
    traffic: Traffic


def series(minutes: Sequence[TrafficMinute], since: datetime, until: datetime) -> list[Point]:
    """Traffic from `since` to `until` in equal steps of whole minutes, quiet ones included."""
    whole = max(1, int((until - since) / timedelta(minutes=1)))
    step = timedelta(minutes=-(-whole // MOST_POINTS))
    start = since.replace(second=0, microsecond=0)
    buckets: dict[int, list[TrafficMinute]] = defaultdict(list)
    for row in minutes:
        buckets[int((row.minute - start) // step)].append(row)
    count = int((until - start) // step) + 1
    return [
        Point(start + number * step, total(buckets.get(number, ()), step))
        for number in range(count)
    ]


def traffic_since(deployments: Iterable[int], since: datetime) -> dict[int, list[TrafficMinute]]:
    """Minutes by deployment, in order; one query."""
    found: dict[int, list[TrafficMinute]] = defaultdict(list)
    rows = TrafficMinute.objects.filter(deployment__in=deployments, minute__gte=since)
    for row in rows.order_by("minute"):
        found[row.deployment_id].append(row)
    return found


@dataclass(frozen=True)
class Instance:
    """A gateway process, and whether it has been heard of lately."""

    row: GatewayInstance
    answers: bool

    def holds(self, deployment: Deployment) -> bool | None:
        """Whether this process has the deployment's model in memory; None when it says nothing."""
        for roles in (self.row.routes.get(deployment.endpoint_name) or {}).values():
            if isinstance(roles, dict) and roles.get("deployment") == deployment.pk:
                return bool(roles.get("loaded"))
        return None


def gateway_instances(now: datetime | None = None) -> list[Instance]:
    """Gateway processes heard of in the last day, the freshest first; one query."""
    now = now or timezone.now()
    rows = GatewayInstance.objects.filter(seen_at__gte=now - timedelta(days=1))
    return [Instance(row, now - row.seen_at <= GATEWAY_SILENT) for row in rows]


@dataclass(frozen=True)
class Slot:
    """One deployment on the board, with its traffic of the last minutes.

    `share` is the measured part of the endpoint's requests: answered by this deployment, or for a
    shadow copied to it. None without a request.
    """

    deployment: Deployment
    traffic: Traffic
    share: float | None
    per_minute: tuple[int, ...] = ()

    @property
    def status_words(self) -> str:
        """What it does, in the words of the board."""
        if self.deployment.canary_share:
            return f"Answers {self.deployment.canary_share} %"
        if self.deployment.status == DeploymentStatus.ACTIVE:
            return "Gets copies" if self.deployment.is_shadow else "Answers"
        return str(self.deployment.get_status_display())

    @property
    def tone(self) -> str:
        """Whether health or measured errors ask for somebody's eye."""
        if self.deployment.status == DeploymentStatus.FAILED or self.deployment.health_failures:
            return "bad"
        return "warn" if self.traffic.errors else "good"


@dataclass(frozen=True)
class BoardRow:
    """One endpoint: what serves and what shadows it in each environment."""

    endpoint: str
    model: str
    staging: tuple[Slot, ...]
    production: tuple[Slot, ...]
    shadow: tuple[Slot, ...]


def board(now: datetime | None = None) -> list[BoardRow]:
    """Live deployments by endpoint, in two queries."""
    now = now or timezone.now()
    live = list(
        Deployment.objects.live()
        .select_related("entry", "shadow_window")
        .order_by("endpoint_name", "-pk")
    )
    minutes = traffic_since([each.pk for each in live], now - RECENT)
    rows: dict[str, list[tuple[Deployment, list[TrafficMinute]]]] = defaultdict(list)
    for each in live:
        rows[each.endpoint_name].append((each, minutes.get(each.pk, [])))
    return [_row(endpoint, found, now) for endpoint, found in rows.items()]


def _row(
    endpoint: str, found: list[tuple[Deployment, list[TrafficMinute]]], now: datetime
) -> BoardRow:
    answered: dict[str, int] = defaultdict(int)
    for deployment, minutes in found:
        if not deployment.is_shadow:
            answered[deployment.environment] += sum(row.requests for row in minutes)
    slots = []
    for each, minutes in found:
        traffic = total(minutes, RECENT)
        share = _share(traffic.requests, answered[each.environment])
        slots.append(Slot(each, traffic, share, _per_minute(minutes, now)))

    def where(environment: str, shadow: bool) -> tuple[Slot, ...]:
        return tuple(
            slot
            for slot in slots
            if slot.deployment.environment == environment and slot.deployment.is_shadow == shadow
        )

    return BoardRow(
        endpoint=endpoint,
        model=slots[0].deployment.entry.model_id,
        staging=where(Environment.STAGING, False) + where(Environment.STAGING, True),
        production=where(Environment.PRODUCTION, False),
        shadow=where(Environment.PRODUCTION, True),
    )


def _per_minute(minutes: list[TrafficMinute], now: datetime) -> tuple[int, ...]:
    """Requests of each of the last minutes, the oldest first."""
    by_minute = {row.minute: row.requests for row in minutes}
    present = now.replace(second=0, microsecond=0)
    span = int(RECENT / timedelta(minutes=1))
    return tuple(
        by_minute.get(present - timedelta(minutes=back), 0) for back in range(span, -1, -1)
    )


def _share(part: int, whole: int) -> float | None:
    return min(1.0, part / whole) if whole else None


def deployment_for_page(pk: int) -> QuerySet[Deployment]:
    """One deployment with what its page shows of other tables.

    `job_under_way`: key of the roll-out or rollback that is not finished, if any.
    """
    keys = [f"roll_out:{pk}", f"roll_back:{pk}"]
    job = Job.objects.unfinished().filter(key__in=keys).order_by("-pk")
    return (
        Deployment.objects.filter(pk=pk)
        .select_related(
            "entry",
            "promotion__policy",
            "deployed_by",
            "previous_deployment__entry",
            "shadow_window__policy",
            "shadow_window__entry",
            "canary",
        )
        .annotate(job_under_way=Subquery(job.values("pk")[:1]))
    )


def deployments_for_list() -> QuerySet[Deployment]:
    """Deployments of all times with what a row shows."""
    return (
        Deployment.objects.select_related("entry", "deployed_by")
        .defer("entry__signature", "entry__hyperparameters", "entry__selection_rationale")
        .order_by("-pk")
    )


def chain(deployment: Deployment) -> list[Deployment]:
    """The deployment and those before it, newest first, at most ten; one query."""
    by_id = {
        each.pk: each
        for each in Deployment.objects.filter(
            endpoint_name=deployment.endpoint_name, environment=deployment.environment
        )
        .select_related("entry", "deployed_by", "canary")
        .order_by("-pk")[:100]
    }
    found: list[Deployment] = []
    current: int | None = deployment.pk
    while current in by_id and len(found) < CHAIN_LENGTH:
        found.append(by_id.pop(current))
        current = found[-1].previous_deployment_id
    return found
