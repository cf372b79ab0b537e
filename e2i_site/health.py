"""What machines ask: does the process live, can it work, and the figures of the system."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from deployments.models import Deployment
from e2i_site import celery
from e2i_site.audit.choices import Priority
from e2i_site.audit.models import Finding
from e2i_site.jobs.breaker_store import DatabaseStore
from e2i_site.jobs.models import Job, JobState
from e2i_site.mlflow_connector.breaker import CLOSED, HALF_OPEN, OPEN
from e2i_site.status import site_status
from registry.models import Promotion


@login_not_required
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Whether the site can do its work: 200, or 503 and what is missing.

    MLflow is reported and not required: pages and decisions go on without it.
    """
    checks = {name: _tried(check) for name, check in _REQUIRED.items()}
    ready = all(answer == "ok" for answer in checks.values())
    mlflow = site_status().breaker.state if checks["database"] == "ok" else "unknown"
    body = {"ready": ready, "checks": checks, "mlflow": {"required": False, "breaker": mlflow}}
    return JsonResponse(body, status=200 if ready else 503)


def _tried(check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:
        # The kind is enough for a probe that anybody may call; the log has the rest.
        return f"failed: {type(error).__name__}"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return "ok" if not waiting else f"{len(waiting)} migrations not applied on {DEFAULT_DB_ALIAS}"


def _broker() -> str:
    with celery.app.connection_for_write(connect_timeout=2) as broker:
        broker.ensure_connection(max_retries=1, timeout=2)
    return "ok"


_REQUIRED: dict[str, Callable[[], str]] = {
    "database": _database,
    "migrations": _migrations,
    "broker": _broker,
}


@login_not_required
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Figures of the system for Prometheus, read from the database at this moment.

    With METRICS_TOKEN set, only for whoever sends it as a bearer token.
    """
    token = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token and not constant_time_compare(given, token):
        return HttpResponse("A bearer token is needed.\n", status=401, content_type="text/plain")
    registry = CollectorRegistry()
    registry.register(_Figures())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Figures:
    """Collects at scrape time, so that every process tells the same."""

    def collect(self) -> Iterator[Metric]:
        yield _counted(
            "e2i_jobs",
            "Jobs kept, by state",
            "state",
            dict(Job.objects.order_by().values_list("state").annotate(Count("pk"))),
            JobState.values,
        )
        opened = Finding.objects.open(timezone.now()).order_by()
        yield _counted(
            "e2i_open_findings",
            "Open audit findings, by priority",
            "priority",
            dict(opened.values_list("priority").annotate(Count("pk"))),
            Priority.values,
        )
        yield GaugeMetricFamily(
            "e2i_open_promotions",
            "Promotions that are not decided or not rolled out",
            value=Promotion.objects.open().count(),
        )
        yield _counted(
            "e2i_live_deployments",
            "Live deployments, by environment",
            "environment",
            dict(
                Deployment.objects.live()
                .order_by()
                .values_list("environment")
                .annotate(Count("pk"))
            ),
            (),
        )
        yield from _breaker()
        if (synced_at := site_status().synced_at) is not None:
            yield GaugeMetricFamily(
                "e2i_last_sync_timestamp_seconds",
                "When MLflow was last mirrored",
                value=synced_at.timestamp(),
            )


def _breaker() -> Iterator[Metric]:
    breaker = DatabaseStore().read()
    states = {breaker.state: 1}
    yield _counted(
        "e2i_breaker_state",
        "State of the circuit breaker around MLflow: 1 for the present one",
        "state",
        states,
        (CLOSED, OPEN, HALF_OPEN),
    )
    for name, words, value in (
        ("failures", "Failed calls to MLflow", breaker.failures_total),
        ("openings", "Times the circuit breaker opened", breaker.openings_total),
    ):
        yield CounterMetricFamily(f"e2i_breaker_{name}", words, value=value)


def _counted(
    name: str, words: str, label: str, counts: dict[str, int], known: tuple[str, ...] | list[str]
) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for value in dict.fromkeys([*known, *counts]):
        family.add_metric([value], counts.get(value, 0))
    return family
