from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from e2i_site.jobs.models import Job, JobState
from registry.actions.refresh_gates import refresh_gates
from registry.actions.request_promotion import request_promotion
from registry.models import GateResult, Promotion, PromotionPolicy, RegistryEntry
from tests.factories.people import UserFactory
from tests.factories.registry import PolicyFactory
from tests.registry.gates.trained import Classroom, School, teach
from tests.training.conftest import perform

APPROVALS = {"count": 1, "roles": ["reviewer"]}


@pytest.fixture(autouse=True)
def nobody_works(quiet_broker: None) -> None:
    """Jobs wait."""


@pytest.fixture(scope="session")
def school(tmp_path_factory: pytest.TempPathFactory, mlflow_server: str) -> School:
    return teach(tmp_path_factory.mktemp("school"), mlflow_server)


@pytest.fixture
def classroom(db: None, school: School, mlflow_server: str, settings: Any) -> Classroom:
    settings.MLFLOW_TRACKING_URI = mlflow_server
    return Classroom(school, "gates")


Ask = Callable[..., dict[str, GateResult]]


@pytest.fixture
def ask(db: None) -> Ask:
    """Ask for a promotion under these gates, measure what they need, and give their results.

    Asked again about the same version, only the gates of its promotion change.
    """

    def asked(
        entry: RegistryEntry, *gates: dict[str, Any], measure: bool = True, **stages: Any
    ) -> Any:
        policy = PolicyFactory(
            name=entry.model.policy_name,
            version=PromotionPolicy.objects.filter(name=entry.model.policy_name).count() + 1,
            stages={"staging": {"gates": list(gates), "approvals": APPROVALS}, **stages},
        )
        promotion = entry.promotions.first()
        if promotion is None:
            promotion = request_promotion(
                entry=entry,
                to_stage="staging",
                reason="It is better.",
                requester=UserFactory(roles=["requester"]),
            )
        else:
            promotion.gates.all().delete()
            Promotion.objects.filter(pk=promotion.pk).update(policy=policy)
            promotion = refresh_gates(promotion=promotion)
        if measure:
            measured()
        return {gate.gate_id: gate for gate in promotion.gates.all()}

    return asked


def measured() -> Job | None:
    """Run the measuring that was asked for here, as its worker would."""
    job = Job.objects.unfinished().filter(kind="registry.measure_version").first()
    if job is not None:
        done = perform(job)
        assert done.state == JobState.SUCCEEDED, done.message
    return job
