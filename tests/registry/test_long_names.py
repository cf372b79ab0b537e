"""Names as long as MLflow takes them go through everything that a model sets in motion."""

from __future__ import annotations

import pytest
from django.utils import timezone

from deployments.models import Deployment
from e2i_site.activity.actions.receive import receive_delivery
from e2i_site.jobs.models import Job
from e2i_site.mlflow_connector.webhooks import Delivery
from registry.actions.stages import carry_to_mlflow
from registry.models import RegisteredModel

pytestmark = pytest.mark.django_db
NAME = "é" * 256


def test_jobs_of_a_model_with_the_longest_name_are_stored() -> None:
    carry_to_mlflow(NAME, actor=None)
    receive_delivery(
        Delivery("d1", "model_version", "created", timezone.now(), {"name": NAME, "version": "1"})
    )
    jobs = Job.objects.for_subject(f"model:{NAME}")
    assert set(jobs.values_list("kind", flat=True)) == {
        "registry.carry_stage",
        "mlflow.apply_webhook",
    }
    for job in jobs:
        job.clean_fields()


def test_every_subject_fits_that_names_a_model_or_an_endpoint() -> None:
    longest = Job._meta.get_field("subject").max_length
    for prefix, field in (
        ("model:", RegisteredModel._meta.get_field("name")),
        ("endpoint:", Deployment._meta.get_field("endpoint_name")),
    ):
        assert len(prefix) + field.max_length <= longest
