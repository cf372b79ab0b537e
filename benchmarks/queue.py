"""The queue and the review page with many promotions: server time and database queries.

Fills a database of its own with models, versions, promotions, gates, reviews and trail entries,
and asks for pages in this process, as the web server would answer them.
"""

from __future__ import annotations

import random
import statistics
import time
from datetime import timedelta
from typing import Any

from benchmarks._harness import Report, parser, quantile, say
from benchmarks._parts import folder, set_up_site

MODELS, PROMOTIONS = 2_000, 10_000
OPEN_SHARE = 0.2
GATES = 8
GOAL_MS, GOAL_QUERIES = 60, 10
WARM_UPS = 3
TABS = ("needs-me", "waiting", "mine", "decided", "all")
SEARCHES = ("is:open model:model-01 to:production risk:high", "late calibration")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--database", default="", help="URL of an empty PostgreSQL database")
    arguments.add_argument("--promotions", type=int, default=PROMOTIONS)
    arguments.add_argument("--models", type=int, default=MODELS)
    arguments.add_argument("--repeats", type=int, default=30)
    options = arguments.parse_args()
    with folder() as where:
        set_up_site(where, database=options.database)
        from django.core.management import call_command
        from django.db import connection

        call_command("collectstatic", verbosity=0, interactive=False)
        report = Report(
            "queue",
            {
                "database": connection.vendor,
                "models": options.models,
                "promotions": options.promotions,
                "gates": options.promotions * GATES,
            },
        )
        fill(options.models, options.promotions)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        measure(report, options.repeats)
        report.finish()


def measure(report: Report, repeats: int) -> None:
    from registry.models import Promotion

    client = _client("approver")
    paths = {f"queue, {tab}": f"/registry/promotions/?tab={tab}" for tab in TABS}
    for search in SEARCHES:
        paths[f"queue, “{search}”"] = f"/registry/promotions/?q={search.replace(' ', '+')}"
    newest = Promotion.objects.order_by("-pk")
    undecided = newest.filter(state="open").values_list("pk", flat=True)[0]
    done = newest.filter(state="applied").values_list("pk", flat=True)[0]
    paths["queue, with a preview"] = f"/registry/promotions/?tab=needs-me&preview={undecided}"
    paths["review, undecided"] = f"/registry/promotions/{undecided}/"
    paths["review, done"] = f"/registry/promotions/{done}/"
    missed = []
    for label, path in paths.items():
        times, used, queries = _ask(client, path, repeats)
        median = statistics.median(times)
        report.add(label, median, "ms")
        report.add(f"{label}, 95 % of answers", quantile(times, 0.95), "ms")
        report.add(f"{label}, processor", used, "ms")
        report.add(f"{label}, queries", queries, "queries")
        if median > GOAL_MS or queries > GOAL_QUERIES:
            missed.append(label)
    report.notes.append(
        f"Goal: at most {GOAL_MS} ms and {GOAL_QUERIES} queries. Missed: "
        f"{', '.join(missed) or 'none'}."
    )


def _ask(client: Any, path: str, repeats: int) -> tuple[list[float], float, int]:
    """Milliseconds of each answer, median processor time of one, and its database queries."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for _ in range(WARM_UPS):
        client.get(path)
    with CaptureQueriesContext(connection) as captured:
        response = client.get(path)
    queries = len(captured)
    assert response.status_code == 200, (path, response.status_code)
    times, used = [], []
    for _ in range(repeats):
        begin, processor = time.perf_counter(), time.process_time()
        client.get(path)
        times.append((time.perf_counter() - begin) * 1000)
        used.append((time.process_time() - processor) * 1000)
    return times, statistics.median(used), queries


def fill(models: int, promotions: int) -> None:
    """Rows as years of use would leave them; bulk, in the form that the actions write."""
    from django.contrib.auth.models import Group, User
    from django.utils import timezone

    from registry.models import Promotion, PromotionPolicy, RegisteredModel, RegistryEntry

    rng = random.Random(42)
    people = []
    for name, role in (
        ("approver", "approver"),
        ("reviewer", "reviewer"),
        *((f"requester{n}", "requester") for n in range(20)),
    ):
        user = User.objects.create_user(name, password="x", first_name=name, last_name="Bench")
        user.groups.add(Group.objects.get(name=role))
        people.append(user)
    approver, reviewer, *requesters = people
    policy = PromotionPolicy.objects.newest("default")
    assert policy is not None
    RegisteredModel.objects.bulk_create(
        [RegisteredModel(name=f"model-{n:04}") for n in range(models)]
    )
    versions = -(-promotions // models)
    RegistryEntry.objects.bulk_create(
        [
            RegistryEntry(
                model_id=f"model-{n:04}",
                model_version=version,
                artifact_digest=f"{n:032x}{version:032x}",
                auc=rng.uniform(0.6, 0.9),
                algorithm="LightGBM",
                signature={"inputs": [{"name": f"f{i}", "type": "double"} for i in range(20)]},
                hyperparameters={f"p{i}": i for i in range(20)},
                stage="production" if version == 1 else "staging",
            )
            for n in range(models)
            for version in range(1, versions + 1)
        ],
        batch_size=1000,
    )
    say("models and versions are there")
    now = timezone.now()
    states = ["open", "changes_requested", "approved"]
    ended = ["applied", "rejected", "withdrawn", "superseded", "failed"]
    champions = dict(RegistryEntry.objects.filter(stage="production").values_list("model_id", "pk"))
    made = []
    for number, entry in enumerate(
        RegistryEntry.objects.order_by("model_version", "pk")[:promotions]
    ):
        is_open = rng.random() < OPEN_SHARE
        to_stage = rng.choice(["staging", "shadow", "production"])
        kinds, weights = (states, [8, 1, 1]) if is_open else (ended, [6, 1, 1, 1, 1])
        (state,) = rng.choices(kinds, weights)
        made.append(
            Promotion(
                entry=entry,
                from_stage={"staging": "development", "shadow": "staging"}.get(to_stage, "shadow"),
                to_stage=to_stage,
                requester=approver if number % 50 == 0 else rng.choice(requesters),
                reason=f"Reason {number}: calibration and recall are better than before.",
                state=state,
                policy=policy,
                artifact_digest=entry.artifact_digest,
                binding_hash=f"{number:064x}",
                champion_id=champions.get(entry.model_id),
                risk=rng.choice(["low", "medium", "high"]),
                risk_reasons=["It would answer production requests."],
                gates_evaluated_at=now,
                decided_at=None if is_open else now - timedelta(minutes=number),
            )
        )
    Promotion.objects.bulk_create(made, batch_size=1000)
    _fill_around(list(Promotion.objects.order_by("pk")), reviewer, rng)


def _fill_around(promotions: list[Any], reviewer: Any, rng: random.Random) -> None:
    """Gates, reviews and trail entries of the promotions."""
    from django.db import transaction
    from django.utils import timezone

    from e2i_site.trail.record import record
    from registry import trail_events
    from registry.models import GateResult, Review

    now = timezone.now()
    GateResult.objects.bulk_create(
        [
            GateResult(
                promotion=promotion,
                gate_id=f"gate_{position}",
                position=position,
                outcome=rng.choices(["pass", "inconclusive", "fail"], [9, 1, 1])[0],
                summary="The measured value is within its limit.",
                measured="0.812",
                limit="0.800",
                evidence={f"value_{n}": rng.random() for n in range(15)},
                evidence_hash=f"{promotion.pk:032x}{position:032x}",
                seconds=0.01,
                evaluated_at=now,
            )
            for promotion in promotions
            for position in range(1, GATES + 1)
        ],
        batch_size=2000,
    )
    Review.objects.bulk_create(
        [
            Review(
                promotion=promotion,
                reviewer=reviewer,
                decision="comment",
                reason=f"Thought {number}.",
                revision=1,
                binding_hash=promotion.binding_hash,
            )
            for promotion in promotions
            for number in range(2)
        ],
        batch_size=2000,
    )
    with transaction.atomic():
        for promotion in promotions[-2000:]:
            record(
                trail_events.PROMOTION_REQUESTED,
                actor=promotion.requester,
                subject=promotion,
                reason=promotion.reason,
            )
    say(f"{len(promotions)} promotions are there")


def _client(name: str) -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client(SERVER_NAME="localhost")
    backend = "django.contrib.auth.backends.ModelBackend"
    client.force_login(User.objects.get(username=name), backend=backend)
    return client


if __name__ == "__main__":
    main()
