"""What is not measured: other rows, other bytes, a model that does not load; and signatures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from e2i_site.jobs.models import Job, JobState
from e2i_site.trail.models import TrailEntry
from registry.actions.sign_version import ask_for_signature
from registry.choices import Stage
from registry.models import RegistryEntry, VersionMeasurement, VersionSignature
from tests.registry.gates import figures, trained
from tests.registry.gates.conftest import Ask
from tests.registry.gates.trained import Classroom
from tests.training.conftest import perform

pytestmark = [pytest.mark.django_db, pytest.mark.mlflow]


def only(ask: Ask, entry: RegistryEntry, **specification: Any) -> Any:
    return ask(entry, specification)[specification["id"]]


def test_other_test_rows_cannot_be_compared(classroom: Classroom, ask: Ask) -> None:
    champion = classroom.entry("twin", Stage.PRODUCTION)
    split = champion.training_run.split  # type: ignore[union-attr]
    split.digests = {**split.digests, "test": "0" * 64}
    split.save()
    entry = classroom.entry("good")
    result = only(ask, entry, id="champion_comparison")
    assert result.outcome == "inconclusive"
    assert "tested on other rows" in result.summary


def test_a_file_that_was_changed_is_not_loaded(
    classroom: Classroom, ask: Ask, mlflow_server: str, tmp_path: Path
) -> None:
    good = classroom.school.models["good"]
    # If its bytes were loaded, this would be an error and not what it is.
    other = trained.with_changed_file(good, mlflow_server, tmp_path / "model", b"not a model")
    entry = classroom.entry("good", model_version=other.version)
    results = ask(entry, *figures.MEASURED)
    assert figures.outcomes(results) == {
        "artifact_verified": "fail",
        "champion_comparison": "pass",
        **dict.fromkeys(
            ("metric", "calibration", "slices", "resources", "dependencies"), "inconclusive"
        ),
    }
    assert "Nothing of them was loaded" in results["metric"].summary
    assert "no champion" in results["champion_comparison"].summary


def test_a_model_that_does_not_load(
    classroom: Classroom, ask: Ask, mlflow_server: str, tmp_path: Path
) -> None:
    good = classroom.school.models["good"]
    other = trained.with_changed_file(good, mlflow_server, tmp_path / "model", b"not a model")
    entry = classroom.entry("good", model_version=other.version, artifact_digest=other.digest)
    results = ask(
        entry,
        {"id": "metric", "minimum": {"roc_auc": 0.8}},
        {"id": "resources"},
        {"id": "dependencies"},
        {"id": "artifact_verified"},
    )
    assert figures.outcomes(results) == {
        "metric": "error",
        "resources": "fail",
        "dependencies": "pass",
        "artifact_verified": "pass",
    }
    assert "does not answer its test rows" in results["metric"].summary
    assert results["resources"].summary.startswith("It cannot be served")


def test_a_signature_by_our_key(
    classroom: Classroom, ask: Ask, settings: Any, tmp_path: Path
) -> None:
    settings.MODEL_SIGNING_KEY = str(tmp_path / "keys" / "model.pem")
    entry = classroom.entry("good")
    assert ask_for_signature(entry) is None
    assert not Job.objects.filter(kind="registry.sign_version").exists()
    unsigned = only(ask, entry, id="model_signature")
    assert (unsigned.outcome, unsigned.measured) == ("fail", "unsigned")
    assert only(ask, entry, id="model_signature", unsigned="inconclusive").outcome == "inconclusive"

    call_command("make_signing_key")
    assert (tmp_path / "keys" / "model.pem").stat().st_mode & 0o077 == 0
    ask_for_signature(entry)
    job = perform(Job.objects.get(kind="registry.sign_version"))
    assert job.state == JobState.SUCCEEDED, job.message
    signature = VersionSignature.objects.get(entry=entry)
    assert signature.artifact_digest == entry.artifact_digest
    noted = TrailEntry.objects.get(event="registry.version.signed")
    assert noted.new == {"digest": entry.artifact_digest, "key": signature.key_fingerprint}
    VersionMeasurement.objects.all().delete()
    assert only(ask, entry, id="model_signature").outcome == "pass"

    # A signature of other files, and one by another key, do not count.
    VersionMeasurement.objects.all().delete()
    bundle, signature.bundle = signature.bundle, signature.bundle.replace("MEQ", "MEU")
    signature.bundle = bundle[: len(bundle) // 2] + "A" + bundle[len(bundle) // 2 + 1 :]
    signature.save()
    assert only(ask, entry, id="model_signature").outcome == "fail"
    signature.bundle = bundle
    signature.save()
    settings.MODEL_SIGNING_KEY = str(tmp_path / "other" / "model.pem")
    VersionMeasurement.objects.all().delete()
    assert only(ask, entry, id="model_signature").outcome == "inconclusive"
    call_command("make_signing_key")
    VersionMeasurement.objects.all().delete()
    assert only(ask, entry, id="model_signature").outcome == "fail"
