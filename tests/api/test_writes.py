"""Every write: who may, what it does, and that a token decides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from rest_framework.test import APIClient

from deployments.choices import DeploymentStatus
from deployments.models import Deployment
from e2i_site.audit.actions.waive import waive
from e2i_site.audit.models import AuditRun, Finding
from e2i_site.core.roles import Role
from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from registry.actions.request_promotion import request_promotion
from registry.choices import PromotionState, Stage
from registry.models import Promotion
from tests.api.conftest import Caller, address
from tests.factories.audit import FindingFactory
from tests.factories.deployments import CanaryFactory, DeploymentFactory
from tests.factories.jobs import JobFactory
from tests.factories.people import PASSWORD
from tests.factories.registry import STAGES, EntryFactory, ModelFactory, PolicyFactory
from tests.factories.training import DatasetFactory, ExperimentFactory
from training.models import Experiment, Selection, TrainingRun

pytestmark = [pytest.mark.django_db, pytest.mark.once]
TRAINERS = {"requester", "administrator"}
OPERATORS = {"deployer", "administrator"}
# A number that JSON can write and no float can hold.
BEYOND = "beyond"
REASON = {"reason": "It was agreed on Monday."}


@dataclass(frozen=True)
class Write:
    """A call: what it needs, who may do it, the answer, and whether a token may do it too."""

    prepare: Callable[[SimpleNamespace], tuple[str, Any]]
    roles: set[str]
    status: int
    by_token: bool = True


def _new_experiment(people: SimpleNamespace) -> tuple[str, Any]:
    body = {"experiment_id": "churn", "name": "Churn", "dataset": DatasetFactory().name}
    return "/api/v1/experiments/", {**body, "criteria": {"minimum_auc": 0.7}}


def _selection(people: SimpleNamespace) -> tuple[str, Any]:
    body = {"experiment": ExperimentFactory().experiment_id, "top": 2}
    return "/api/v1/selections/", {**body, "constraints": {"exclude": ["XGBoost"]}}


def _training(people: SimpleNamespace) -> tuple[str, Any]:
    body = {"experiment": ExperimentFactory().experiment_id, "algorithm": "LightGBM"}
    return "/api/v1/training-runs/", {**body, "trials": 3}


def _entry(**fields: Any) -> Any:
    policy = PolicyFactory(stages=STAGES)
    return EntryFactory(model=ModelFactory(policy_name=policy.name), **fields)


def _promotion_of(people: SimpleNamespace) -> Promotion:
    return request_promotion(
        entry=_entry(), to_stage="staging", reason="Better.", requester=people.requester
    )


def _request(people: SimpleNamespace) -> tuple[str, Any]:
    entry = _entry()
    body = {"model": entry.model_id, "version": entry.model_version, "to_stage": "staging"}
    return "/api/v1/promotions/", {**body, **REASON}


def _review(people: SimpleNamespace) -> tuple[str, Any]:
    promotion = _promotion_of(people)
    body = {"decision": "approve", "revision": promotion.revision, "password": PASSWORD, **REASON}
    return address("promotions", promotion, "review"), body


def _withdraw(people: SimpleNamespace) -> tuple[str, Any]:
    return address("promotions", _promotion_of(people), "withdraw"), REASON


def _resubmit(people: SimpleNamespace) -> tuple[str, Any]:
    promotion = _promotion_of(people)
    Promotion.objects.filter(pk=promotion.pk).update(state=PromotionState.CHANGES_REQUESTED)
    return address("promotions", promotion, "resubmit"), REASON


def _deprecate(people: SimpleNamespace) -> tuple[str, Any]:
    body = {"password": PASSWORD, **REASON}
    return address("versions", EntryFactory(stage=Stage.ARCHIVED), "deprecate"), body


def _rollback(people: SimpleNamespace) -> tuple[str, Any]:
    model = ModelFactory()
    previous = DeploymentFactory(
        entry=EntryFactory(model=model, stage=Stage.ARCHIVED), status=DeploymentStatus.DRAINING
    )
    active = DeploymentFactory(
        entry=EntryFactory(model=model, stage=Stage.PRODUCTION), previous_deployment=previous
    )
    return address("deployments", active, "rollback"), REASON


def _stop(people: SimpleNamespace) -> tuple[str, Any]:
    warm = DeploymentFactory(status=DeploymentStatus.DRAINING)
    return address("deployments", warm, "stop"), REASON


def _pause(people: SimpleNamespace) -> tuple[str, Any]:
    return address("deployments", CanaryFactory().deployment, "pause"), REASON


def _resume(people: SimpleNamespace) -> tuple[str, Any]:
    paused = CanaryFactory(state="paused", pause_reason="A look.")
    return address("deployments", paused.deployment, "resume"), REASON


def _abort(people: SimpleNamespace) -> tuple[str, Any]:
    return address("deployments", CanaryFactory().deployment, "abort"), REASON


def _waive(people: SimpleNamespace) -> tuple[str, Any]:
    until = (timezone.now() + timedelta(days=3)).isoformat()
    body = {"owner": "auditor", "expires_at": until, "reason": "It is described next week."}
    return address("findings", FindingFactory(), "waive"), body


def _revoke(people: SimpleNamespace) -> tuple[str, Any]:
    finding, until = FindingFactory(), timezone.now() + timedelta(days=3)
    auditor = people.auditor
    waive(finding=finding, actor=auditor, owner=auditor, reason="Next week.", expires_at=until)
    return address("findings", finding, "revoke"), REASON


def _audit(people: SimpleNamespace) -> tuple[str, Any]:
    return "/api/v1/audit-runs/", {"phase": 4}


def _cancel(people: SimpleNamespace) -> tuple[str, Any]:
    return address("jobs", JobFactory(), "cancel"), {}


def _policy(people: SimpleNamespace) -> tuple[str, Any]:
    source = "name: fresh\nstages: {archived: {approvals: {count: 1, roles: [approver]}}}\n"
    return "/api/v1/policies/", {"source": source, "seen": 0, "password": PASSWORD, **REASON}


WRITES = {
    "experiment": Write(_new_experiment, TRAINERS, 201),
    "selection": Write(_selection, TRAINERS, 201),
    "training": Write(_training, TRAINERS, 201),
    "promotion": Write(
        _request, {"requester", "reviewer", "approver", "deployer", "administrator"}, 201
    ),
    "policy": Write(_policy, {"administrator"}, 201, by_token=False),
    "review": Write(_review, {"reviewer", "approver"}, 200, by_token=False),
    "withdraw": Write(_withdraw, TRAINERS, 200),
    "resubmit": Write(_resubmit, {"requester"}, 200),
    "deprecate": Write(_deprecate, {"administrator"}, 200, by_token=False),
    "rollback": Write(_rollback, OPERATORS, 202),
    "stop": Write(_stop, OPERATORS, 200),
    "pause": Write(_pause, OPERATORS, 200),
    "resume": Write(_resume, OPERATORS, 200),
    "abort": Write(_abort, OPERATORS, 200),
    "waive": Write(_waive, {"auditor", "administrator"}, 200, by_token=False),
    "revoke": Write(_revoke, {"auditor", "administrator"}, 200, by_token=False),
    "audit": Write(_audit, {"reviewer", "approver", "deployer", "auditor", "administrator"}, 201),
    "cancel": Write(_cancel, OPERATORS, 200),
}


def _actor(write: Write, people: SimpleNamespace) -> Any:
    """Somebody who may."""
    return getattr(people, sorted(write.roles)[-1])


every_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


@every_write
def test_only_those_with_the_role_may(
    write: Write, people: SimpleNamespace, as_person: Caller
) -> None:
    url, body = write.prepare(people)
    for role in Role.values:
        before = TrailEntry.objects.count()
        with transaction.atomic():
            response = as_person(getattr(people, role)).post(url, body)
            recorded = TrailEntry.objects.count() > before
            transaction.set_rollback(True)
        expected = write.status if role in write.roles else 403
        assert response.status_code == expected, (role, response.json())
        assert recorded == (role in write.roles), role
        if expected == 403:
            assert response.json()["reasons"], role


@every_write
def test_nobody_without_a_role_may(
    write: Write, people: SimpleNamespace, as_person: Caller, client: Any
) -> None:
    url, body = write.prepare(people)
    before = TrailEntry.objects.count()
    assert as_person(people.outsider).post(url, body).status_code == 403
    response = client.post(url, body, content_type="application/json")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Token"
    assert TrailEntry.objects.count() == before


@every_write
def test_a_token_asks_but_never_decides(
    write: Write, people: SimpleNamespace, as_service: Caller
) -> None:
    url, body = write.prepare(people)
    client = as_service(_actor(write, people))
    before = TrailEntry.objects.count()
    response = client.post(url, body)
    assert response.status_code == (write.status if write.by_token else 403), response.json()
    assert (TrailEntry.objects.count() > before) == write.by_token
    if not write.by_token:
        assert response.json()["detail"] == "A token cannot decide; a person has to log in."


def test_a_browser_call_needs_the_csrf_token(people: SimpleNamespace) -> None:
    url, body = _new_experiment(people)
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(people.requester)
    response = client.post(url, body)
    assert response.status_code == 403
    assert "CSRF" in response.json()["detail"]
    assert not Experiment.objects.exists()


def test_what_is_asked_is_what_happens(people: SimpleNamespace, as_service: Caller) -> None:
    client = as_service(people.requester)
    url, body = _new_experiment(people)
    made = client.post(url, body).json()
    assert (made["experiment_id"], made["dataset"]) == ("churn", body["dataset"])
    assert made["success_criteria"]["minimum_auc"]["limit"] == 0.7
    experiment = Experiment.objects.get()
    assert experiment.created_by == people.requester

    constraints = {"max_latency_ms": 20, "exclude": ["XGBoost"]}
    asked = {"experiment": "churn", "top": 2, "folds": 3, "constraints": constraints}
    selection = Selection.objects.get(pk=client.post("/api/v1/selections/", asked).json()["id"])
    assert selection.constraints["exclude"] == ["XGBoost"]
    assert (selection.constraints["top"], selection.constraints["folds"]) == (2, 3)
    assert selection.job.kind == "training.select"

    asked = {"experiment": "churn", "algorithm": "LightGBM", "trials": 4, "seed": 7}
    run = TrainingRun.objects.get(pk=client.post("/api/v1/training-runs/", asked).json()["id"])
    assert (run.request["trials"], run.request["seed"], run.status) == (4, 7, "scheduled")
    assert run.job.kind == "training.train"
    entries = TrailEntry.objects.filter(event__startswith="training.")
    assert {(entry.source, entry.actor_name) for entry in entries} == {("api", "requester")}


def test_a_promotion_goes_from_request_to_stage(
    people: SimpleNamespace, as_person: Caller, as_service: Caller
) -> None:
    url, body = _request(people)
    asked = as_service(people.requester).post(url, body).json()
    assert [gate["outcome"] for gate in asked["gates"]] == ["pass", "pass"]
    decide = f"/api/v1/promotions/{asked['id']}/review/"
    sign = {"password": PASSWORD, **REASON}
    decision = {"decision": "request_changes", "revision": asked["revision"], **sign}
    reviewer = as_person(people.reviewer)
    answered = reviewer.post(decide, decision).json()
    assert answered["state"] == "changes_requested"
    again = f"/api/v1/promotions/{asked['id']}/resubmit/"
    answered = as_service(people.requester).post(again, REASON).json()
    approval = {"decision": "approve", **sign}
    stale = reviewer.post(decide, {**approval, "revision": asked["revision"]})
    assert stale.status_code == 409
    done = reviewer.post(decide, {**approval, "revision": answered["revision"]}).json()
    assert done["state"] == "applied"
    assert [review["decision"] for review in done["reviews"]] == [
        "request_changes",
        "comment",
        "approve",
    ]
    version = reviewer.get(f"/api/v1/versions/?model={body['model']}").json()["results"][0]
    assert version["stage"] == "staging"


def test_deployments_are_rolled_back_and_stopped(
    people: SimpleNamespace, as_person: Caller
) -> None:
    client = as_person(people.deployer)
    url, body = _rollback(people)
    job = client.post(url, body).json()
    assert job["kind"] == "deployments.roll_back"
    assert client.post(url, body).json()["id"] == job["id"]
    url, body = _stop(people)
    assert client.post(url, body).json()["status"] == DeploymentStatus.RETIRED
    assert Deployment.objects.filter(status=DeploymentStatus.RETIRED).count() == 1


def test_waivers_audits_and_jobs(people: SimpleNamespace, as_person: Caller) -> None:
    client = as_person(people.administrator)
    url, body = _waive(people)
    waived = client.post(url, body).json()
    assert (waived["status"], waived["waivers"][0]["owner"]) == ("waived", "auditor")
    assert client.post(url.replace("waive", "revoke"), REASON).json()["status"] == "open"
    run = client.post("/api/v1/audit-runs/", {"phase": 4}).json()
    assert (run["phase"], run["started_by"], run["results"]) == (4, "administrator", [])
    assert AuditRun.objects.get(pk=run["id"]).job.kind == "audit.run"
    url, body = _cancel(people)
    assert client.post(url).json()["state"] == "cancelled"
    assert Job.objects.filter(state="cancelled").count() == 1


def test_a_waiver_that_ran_out_is_shown_as_open(people: SimpleNamespace, as_person: Caller) -> None:
    finding = FindingFactory(status="waived", waived_until=timezone.now() - timedelta(hours=1))
    client = as_person(people.viewer)
    assert client.get(address("findings", finding)).json()["status"] == "open"
    assert client.get("/api/v1/findings/?status=open").json()["results"][0]["status"] == "open"
    assert Finding.objects.get().status == "waived"


@pytest.mark.parametrize(
    ("write", "change", "field"),
    [
        ("experiment", {"dataset": "nothing"}, "dataset"),
        ("experiment", {"criteria": {"minimum_auc": "nan"}}, "criteria.minimum_auc"),
        ("experiment", {"criteria": {"maximum_rmse": BEYOND}}, "criteria.maximum_rmse"),
        ("experiment", {"criteria": {"luck": 1}}, "luck"),
        ("experiment", {"experiment_id": "e2i_churn"}, "experiment_id"),
        ("experiment", {"experiment_id": "Not A Slug!"}, "experiment_id"),
        ("experiment", {"observation_window_days": -1}, "observation_window_days"),
        ("experiment", {"colour": "red"}, "colour"),
        ("selection", {"experiment": "nothing"}, "experiment"),
        ("selection", {"folds": 1}, "folds"),
        ("selection", {"constraints": {"max_latency_ms": BEYOND}}, "constraints.max_latency_ms"),
        ("selection", {"constraints": {"exclude": "XGBoost"}}, "constraints.exclude"),
        ("selection", {"constraints": {"luck": 1}}, "constraints.luck"),
        ("training", {"algorithm": "Magic"}, "algorithm"),
        ("training", {"trials": 10**9}, "trials"),
        ("training", {"timeout_seconds": BEYOND}, "timeout_seconds"),
        ("training", {"seed": -1}, "seed"),
        ("training", {"balancing": "luck"}, "balancing"),
        ("promotion", {"version": 10**30}, "version"),
        ("promotion", {"to_stage": "heaven"}, "to_stage"),
        ("promotion", {"reason": " "}, "reason"),
        ("review", {"decision": "shrug"}, "decision"),
        ("review", {"reason": ""}, "reason"),
        ("withdraw", {"reason": ""}, "reason"),
        ("rollback", {"reason": ""}, "reason"),
        ("stop", {"reason": ""}, "reason"),
        ("pause", {"reason": " "}, "reason"),
        ("waive", {"owner": "nobody"}, "owner"),
        ("waive", {"expires_at": "tomorrow"}, "expires_at"),
        ("revoke", {"reason": ""}, "reason"),
        ("cancel", {"because": "I can"}, "because"),
    ],
)
def test_wrong_input_is_named_and_does_nothing(
    write: str, change: dict[str, Any], field: str, people: SimpleNamespace, as_person: Caller
) -> None:
    url, body = WRITES[write].prepare(people)
    before = TrailEntry.objects.count()
    text = json.dumps({**body, **change}).replace(f'"{BEYOND}"', "1e999")
    client = as_person(_actor(WRITES[write], people))
    response = client.post(url, text, content_type="application/json")
    assert response.status_code == 400, response.json()
    assert [each["field"] for each in response.json()["errors"]] == [field]
    assert TrailEntry.objects.count() == before
