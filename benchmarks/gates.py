"""A promotion's gates that need no computation, evaluated together among many promotions.

Fills a database as the benchmark of the queue does, gives some promotions to production all that
these gates look at (a run, a data set, a card, findings, a day of mirrored traffic), and evaluates
every registered gate that needs nothing measured beforehand.
"""

from __future__ import annotations

import statistics
import time
from datetime import timedelta
from typing import Any

from benchmarks._harness import Report, parser, quantile, say
from benchmarks._parts import folder, set_up_site

MODELS, PROMOTIONS = 2_000, 10_000
EXAMINED = 20
FINDINGS = 5_000
MINUTES = 24 * 60
GOAL_MS = 100


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--database", default="", help="URL of an empty PostgreSQL database")
    arguments.add_argument("--promotions", type=int, default=PROMOTIONS)
    arguments.add_argument("--models", type=int, default=MODELS)
    arguments.add_argument("--repeats", type=int, default=5)
    options = arguments.parse_args()
    with folder() as where:
        set_up_site(where, database=options.database)
        from django.db import connection

        from benchmarks.queue import fill

        report = Report(
            "gates",
            {
                "database": connection.vendor,
                "promotions": options.promotions,
                "examined": EXAMINED,
                "open findings": FINDINGS,
                "minutes of traffic": MINUTES,
            },
        )
        fill(options.models, options.promotions)
        promotions = _furnish()
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        measure(report, promotions, options.repeats)
        report.finish()


def measure(report: Report, promotions: list[int], repeats: int) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from registry.actions.refresh_gates import refresh_gates
    from registry.gates.evaluate import measure as evaluate
    from registry.models import Promotion

    for number in promotions:
        refresh_gates(promotion=Promotion.objects.get(pk=number))
    examined = Promotion.objects.select_related(
        "entry__model", "entry__experiment", "entry__training_run__dataset", "policy", "champion"
    )
    taken: list[float] = []
    used: list[float] = []
    stored: list[float] = []
    by_gate: dict[str, list[float]] = {}
    outcomes: set[str] = set()
    for _ in range(repeats):
        for promotion in examined.filter(pk__in=promotions):
            begin, processor = time.perf_counter(), time.process_time()
            results = evaluate(promotion)
            taken.append(1000 * (time.perf_counter() - begin))
            used.append(1000 * (time.process_time() - processor))
            for result in results:
                by_gate.setdefault(result.gate_id, []).append(1000 * result.seconds)
                outcomes.add(f"{result.gate_id} {result.outcome}")
            begin = time.perf_counter()
            refresh_gates(promotion=promotion)
            stored.append(1000 * (time.perf_counter() - begin))
    with CaptureQueriesContext(connection) as captured:
        evaluate(examined.get(pk=promotions[0]))
    if wrong := sorted(each for each in outcomes if not each.endswith("pass")):
        raise RuntimeError(f"Not evaluated to their end: {', '.join(wrong)}")
    median = statistics.median(taken)
    report.add("all gates together", median, "ms")
    report.add("all gates together, 95 % of promotions", quantile(taken, 0.95), "ms")
    report.add("all gates together, processor", statistics.median(used), "ms")
    report.add("all gates together, queries", len(captured), "queries")
    report.add("evaluated and stored", statistics.median(stored), "ms")
    for gate_id, times in sorted(by_gate.items()):
        report.add(f"gate {gate_id}", statistics.median(times), "ms")
    said = "reached" if median <= GOAL_MS else "missed"
    report.notes.append(f"Goal: at most {GOAL_MS} ms together; {said}.")


def _furnish() -> list[int]:
    """Give some undecided promotions all that their gates look at; their keys."""
    from registry.choices import UNDECIDED
    from registry.gates.base import all_gates
    from registry.models import Promotion, PromotionPolicy

    default = PromotionPolicy.objects.newest("default")
    assert default is not None
    gates = [{"id": gate.gate_id} for gate in all_gates() if gate.needs is None]
    rules = {**default.stages["production"], "gates": gates}
    policy = PromotionPolicy.objects.create(
        name="bench", version=1, stages={**default.stages, "production": rules}
    )
    found = Promotion.objects.filter(state__in=UNDECIDED, to_stage="production")
    chosen = list(found.exclude(entry__stage="production").select_related("entry")[:EXAMINED])
    for promotion in chosen:
        _give(promotion, policy, rules["shadow"])
    _findings()
    say(f"{len(chosen)} promotions have all that {len(gates)} gates look at")
    return [promotion.pk for promotion in chosen]


def _give(promotion: Any, policy: Any, limits: dict[str, Any]) -> None:
    from registry.models import ModelCard, Promotion, RegistryEntry
    from tests.factories.training import QualityFactory, TrainingRunFactory

    run = TrainingRunFactory()
    QualityFactory(training_run=run)
    ModelCard.objects.create(
        entry=promotion.entry,
        **dict.fromkeys(("description", "intended_use", "limitations", "owner"), "Said. " * 50),
    )
    signature = {
        part: [{"name": f"f{n}", "type": "double", "required": True} for n in range(20)]
        for part in ("inputs", "outputs")
    }
    champion = promotion.champion
    known = {"training_run": run, "experiment": run.experiment, "signature": signature}
    RegistryEntry.objects.filter(pk__in=[promotion.entry_id, champion.pk]).update(
        **known, mlflow_run_id=run.mlflow_run_id
    )
    Promotion.objects.filter(pk=promotion.pk).update(policy=policy)
    _traffic(promotion.entry, policy, limits)


def _traffic(entry: Any, policy: Any, limits: dict[str, Any]) -> None:
    """A day of mirrored requests, one row a minute."""
    from django.utils import timezone

    from deployments.models import TrafficMinute
    from tests.factories.deployments import (
        DeploymentFactory,
        ShadowWindowFactory,
        TrafficMinuteFactory,
    )

    deployment = DeploymentFactory(entry=entry, strategy="shadow")
    ShadowWindowFactory(
        deployment=deployment,
        entry=entry,
        policy=policy,
        limits=limits,
        opened_at=timezone.now() - timedelta(minutes=MINUTES + 10),
    )
    TrafficMinute.objects.bulk_create(
        [
            TrafficMinuteFactory.build(
                deployment=deployment, minutes_ago=minute, durations=(2.0, 3.0, 4.0, 5.0)
            )
            for minute in range(1, MINUTES + 1)
        ]
    )


def _findings() -> None:
    """Open ones about other versions."""
    from e2i_site.audit.models import Finding
    from tests.factories.audit import AuditRunFactory, FindingFactory

    run = AuditRunFactory()
    keys = range(10**6, 10**6 + FINDINGS)
    Finding.objects.bulk_create(
        [FindingFactory.build(subject_key=str(key), first_run=run) for key in keys]
    )


if __name__ == "__main__":
    main()
