"""The schema says what the API does: real answers are held against it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from knox.models import AuthToken
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import COLLECTIONS, KEYS
from tests.api.test_writes import WRITES
from tests.factories.audit import AuditRunFactory
from tests.factories.deployments import DeploymentFactory
from tests.factories.jobs import JobFactory
from tests.factories.registry import EntryFactory, ModelFactory
from tests.factories.training import SelectionFactory, TrainingRunFactory
from tests.factories.world import a_row_in_each

pytestmark = [pytest.mark.django_db, pytest.mark.once]
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """Calls share the test's transaction, as those of Django's own test client do."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def caller(people: SimpleNamespace) -> dict[str, str]:
    """Headers of a service that may do everything that a service may."""
    for name in ("requester", "reviewer", "approver", "deployer", "auditor"):
        people.administrator.groups.add(*getattr(people, name).groups.all())
    return {"Authorization": f"Token {AuthToken.objects.create(people.administrator)[1]}"}


@pytest.fixture
def schema(caller: dict[str, str]) -> Any:
    return schemathesis.openapi.from_wsgi("/api/schema/?format=json", WSGIHandler(), headers=caller)


def operations(schema: Any) -> dict[tuple[str, str], Any]:
    found = [result.ok() for result in schema.get_all_operations()]
    return {(each.method.upper(), each.path): each for each in found}


def test_it_names_every_collection_and_every_write(schema: Any) -> None:
    found = operations(schema)
    for name in COLLECTIONS:
        assert ("GET", f"/api/v1/{name}/") in found
    posts = {path for method, path in found if method == "POST"}
    # A replay only asks; its question is too long for an address.
    assert len(posts - {"/api/v1/policies/replay/"}) == len(WRITES)
    assert {method for method, _ in found} == {"GET", "POST"}


def bare_rows() -> dict[str, Any]:
    """Rows with nothing that can be missing."""
    run = TrainingRunFactory(
        experiment=None,
        dataset=None,
        mlflow_run_id=None,
        mlflow_available=False,
        created_by=None,
        started_at=None,
        completed_at=None,
        duration_seconds=None,
        hyperparameters={},
    )
    entry = EntryFactory(
        model=ModelFactory(experiment=None),
        experiment=None,
        training_run=run,
        auc=None,
        registered_at=None,
        signature={},
    )
    return {
        "training-runs": run,
        "selections": SelectionFactory(mlflow_run_id=None, selected_algorithm=""),
        "models": entry.model,
        "versions": entry,
        "deployments": DeploymentFactory(entry=entry, deployed_by=None, deployed_at=None),
        "audit-runs": AuditRunFactory(
            started_by=None,
            status="waiting",
            started_at=None,
            finished_at=None,
            beat_at=timezone.now(),
        ),
        "jobs": JobFactory(actor=None, subject="", payload={}),
    }


def test_lists_and_objects_are_as_it_says(schema: Any, caller: dict[str, str]) -> None:
    found = operations(schema)
    for name, row in [*a_row_in_each().items(), *bare_rows().items()]:
        key = getattr(row, KEYS.get(name, "pk"))
        (single,) = [path for _, path in found if re.fullmatch(rf"/api/v1/{name}/{{\w+}}/", path)]
        parameter = single.split("{")[1].split("}")[0]
        for path, arguments in ((f"/api/v1/{name}/", {}), (single, {parameter: key})):
            case = found["GET", path].Case(path_parameters=arguments, headers=caller)
            response = case.call()
            assert response.status_code == 200, response.content
            case.validate_response(response, checks=list(CHECKS))


def test_writes_answer_as_it_says(
    schema: Any, caller: dict[str, str], people: SimpleNamespace
) -> None:
    found = operations(schema)
    for name, write in WRITES.items():
        url, body = write.prepare(people)
        number = re.search(r"(?<=/)\d+(?=/)", url)
        arguments = {"id": int(number.group())} if number else {}
        path = url.replace(f"/{number.group()}/", "/{id}/") if number else url
        case = found["POST", path].Case(
            path_parameters=arguments, headers=caller, body=body, media_type="application/json"
        )
        response = case.call()
        refused = not write.by_token or name == "resubmit"
        assert response.status_code == (403 if refused else write.status), (name, response.content)
        case.validate_response(response, checks=list(CHECKS))


def test_whatever_is_sent_the_answer_is_as_it_says(schema: Any, caller: dict[str, str]) -> None:
    """Bodies, parameters and addresses made up from the schema: no fault, nothing undescribed."""
    a_row_in_each()
    found = operations(schema)

    @given(st.data())
    @settings(
        max_examples=120,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(data: st.DataObject) -> None:
        operation = found[data.draw(st.sampled_from(sorted(found)))]
        case = data.draw(operation.as_strategy())
        response = case.call(headers=caller)
        case.validate_response(response, checks=list(CHECKS))

    run()
