"""Gates on what was measured: passing, failing, undecided and in error, on really trained models.

Each test measures once; the limits of the same measurements are then moved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from e2i_site.jobs.models import Job, JobState
from e2i_site.trail.models import TrailEntry
from registry.actions.sign_version import ask_for_signature
from registry.choices import Stage
from registry.gates.base import Reopened, judge_again
from registry.models import RegistryEntry, TestPredictions, VersionMeasurement, VersionSignature
from tests.registry.gates import trained
from tests.registry.gates.conftest import Ask
from tests.registry.gates.trained import Classroom
from tests.training.conftest import perform

pytestmark = [pytest.mark.django_db, pytest.mark.mlflow]

MEASURED = (
    {"id": "metric", "minimum": {"roc_auc": 0.8}, "maximum": {"brier": 0.2}},
    {"id": "champion_comparison"},
    {"id": "calibration"},
    {"id": "slices", "columns": ["plan", "age"], "metric": "roc_auc", "minimum": 0.6},
    {"id": "resources", "p99_ms": 5000, "memory_mb": 4000},
    {"id": "dependencies"},
    {"id": "artifact_verified"},
)


def outcomes(results: dict[str, Any]) -> dict[str, str]:
    return {gate_id: result.outcome for gate_id, result in results.items()}


def only(ask: Ask, entry: RegistryEntry, **specification: Any) -> Any:
    return ask(entry, specification)[specification["id"]]


def test_a_good_version_against_a_champion_that_is_as_good(classroom: Classroom, ask: Ask) -> None:
    champion = classroom.entry("twin", Stage.PRODUCTION)
    entry = classroom.entry("good")
    before = ask(entry, *MEASURED, measure=False)
    assert set(outcomes(before).values()) == {"inconclusive"}
    assert all("being measured" in result.summary for result in before.values())

    results = ask(entry, *MEASURED)
    assert set(outcomes(results).values()) == {"pass"}, {
        result.gate_id: result.summary for result in results.values()
    }
    _check_numbers(classroom, results)
    _check_kept_evidence(entry, champion)
    _check_moved_limits(ask, entry, results)
    _check_errors(ask, entry)


def _check_numbers(classroom: Classroom, results: dict[str, Any]) -> None:
    """What was measured is what the trainer measured, down to the interval."""
    good = classroom.school.models["good"].evaluation
    twin = classroom.school.models["twin"].evaluation
    kept = VersionMeasurement.objects.get(kind="test_metrics").result["metrics"]
    for name, value in good.metrics["test"].items():
        assert kept[name]["value"] == pytest.approx(value, abs=1e-12), name
    low, high = good.intervals["roc_auc"]
    assert (kept["roc_auc"]["low"], kept["roc_auc"]["high"]) == pytest.approx((low, high))
    compared = results["champion_comparison"]
    gain = good.metrics["test"]["roc_auc"] - twin.metrics["test"]["roc_auc"]
    assert compared.evidence["gain"] == pytest.approx(gain)
    assert compared.interval["low"] <= gain <= compared.interval["high"]
    # Paired: far narrower than what the two intervals on their own would allow.
    assert compared.interval["high"] - compared.interval["low"] < (high - low) / 2
    assert compared.sample_size == classroom.school.splits.sizes["test"]
    assert compared.inputs["dataset_digest"] == classroom.school.data.digest
    parts = {each["slice"]: each["n"] for each in results["slices"].evidence["slices"]}
    assert parts["basic"] + parts["full"] == compared.sample_size
    assert sum(1 for name in parts if name.startswith(("[", "("))) == 4
    assert results["resources"].sample_size >= 100
    assert results["resources"].evidence["peak_mb"] > 50
    pinned = {
        row["requirement"].partition("==")[0]
        for row in results["dependencies"].evidence["requirements"]
    }
    assert {"mlflow", "scikit-learn"} <= pinned


def _check_kept_evidence(entry: RegistryEntry, champion: RegistryEntry) -> None:
    kinds = set(VersionMeasurement.objects.values_list("kind", flat=True))
    assert kinds == {
        "test_metrics", "paired_difference", "slices", "serving", "requirements", "files",
    }  # fmt: skip
    assert {row.artifact_digest for row in VersionMeasurement.objects.all()} == {
        entry.artifact_digest
    }
    answered = set(TestPredictions.objects.values_list("artifact_digest", flat=True))
    assert answered == {entry.artifact_digest, champion.artifact_digest}
    noted = TrailEntry.objects.filter(event="registry.version.measured")
    assert {note.new["kind"] for note in noted} == kinds


def _check_moved_limits(ask: Ask, entry: RegistryEntry, first: dict[str, Any]) -> None:
    """The same measurements under other limits; nothing is measured again."""
    failing = ask(
        entry,
        {"id": "metric", "minimum": {"roc_auc": 0.99}},
        {"id": "calibration", "slope_minimum": 3, "slope_maximum": 4},
        {"id": "slices", "columns": ["plan", "age"], "metric": "roc_auc", "minimum": 0.99},
        {"id": "resources", "p99_ms": 0.001},
    )
    assert set(outcomes(failing).values()) == {"fail"}
    assert failing["metric"].measured.startswith("roc_auc 0.")
    assert failing["metric"].limit == "≥ 0.99"
    undecided = ask(
        entry,
        {"id": "metric", "minimum": {"roc_auc": _middle(entry)}, "confident": True},
        {"id": "champion_comparison", "tolerance": 0},
        {"id": "calibration", "slope_minimum": 0.99, "slope_maximum": 1.01, "confident": True},
        {
            "id": "slices", "columns": ["plan", "age"], "metric": "roc_auc", "minimum": 0.6,
            "smallest": 5000,
        },
    )  # fmt: skip
    assert set(outcomes(undecided).values()) == {"inconclusive"}
    assert "5000 are needed" in undecided["slices"].summary
    # Judged again from what the first results stored, they come out as when measured.
    for moved in (*failing.values(), *undecided.values()):
        assert judge_again(_reopened(first[moved.gate_id], moved)) == moved.outcome, moved.gate_id
        # Backwards too, save where the stricter limit was about fewer metrics.
        back = judge_again(_reopened(moved, first[moved.gate_id]))
        assert back == (None if moved.gate_id == "metric" else "pass"), moved.gate_id
    assert not Job.objects.unfinished().filter(kind="registry.measure_version").exists()


def _reopened(stored: Any, other: Any) -> Reopened:
    return Reopened(
        gate_id=stored.gate_id, outcome=stored.outcome, evidence=stored.evidence,
        sample_size=stored.sample_size, before=stored.specification, now=other.specification,
    )  # fmt: skip


def _middle(entry: RegistryEntry) -> float:
    return float(entry.training_run.test_metrics["roc_auc"])  # type: ignore[union-attr]


def _check_errors(ask: Ask, entry: RegistryEntry) -> None:
    """What cannot be read in a policy is an error of that gate and ends no other."""
    results = ask(
        entry,
        {"id": "metric", "minimum": {"roc_auc": "high"}},
        {"id": "champion_comparison", "tolerance": "little"},
        {"id": "calibration", "slope_minimum": "steep"},
        {"id": "slices"},
        {"id": "resources", "p99_ms": "soon"},
        {"id": "model_signature", "unsigned": "whatever"},
        {"id": "model_card", "fields": ["motto"]},
        {"id": "artifact_verified"},
    )
    assert outcomes(results) == {
        **dict.fromkeys(
            ("metric", "champion_comparison", "calibration", "slices", "resources",
             "model_signature", "model_card"), "error",
        ),
        "artifact_verified": "pass",
    }  # fmt: skip


def test_a_poor_version_fails_against_a_good_champion(classroom: Classroom, ask: Ask) -> None:
    champion = classroom.entry("good", Stage.PRODUCTION)
    entry = classroom.entry("poor")
    gates = (
        {"id": "champion_comparison"},
        {"id": "calibration"},
        {"id": "slices", "columns": ["region"], "metric": "positive_rate", "gap": 0.5},
    )
    results = ask(entry, *gates)
    compared = results["champion_comparison"]
    assert compared.outcome == "fail"
    assert compared.interval["high"] < -0.02
    assert f"of {champion}: worse by more than 0.02" in compared.summary
    # The islands have about one row in a hundred: too few to judge, and it says how many.
    assert results["slices"].outcome == "inconclusive"
    assert "islands (n = " in results["slices"].summary
    assert results["slices"].evidence["smallest_slice"] < 20


def test_overconfidence_fails_calibration(classroom: Classroom, ask: Ask) -> None:
    entry = classroom.entry("overconfident")
    RegistryEntry.objects.filter(pk=entry.pk).update(auc=0.5)
    run = entry.training_run
    assert run is not None
    run.test_metrics = {**run.test_metrics, "roc_auc": 0.999}
    run.save(update_fields=["test_metrics"])
    results = ask(
        entry,
        {"id": "calibration"},
        {"id": "metric", "minimum": {"roc_auc": 0.6}},
        {"id": "slices", "columns": ["shoe_size"], "minimum": 0.5},
        {"id": "champion_comparison"},
    )
    assert results["calibration"].outcome == "fail"
    assert results["calibration"].evidence["slope"]["value"] < 0.8
    # What the run claims is not what its model does.
    assert results["metric"].outcome == "fail"
    assert "recorded another value of roc_auc" in results["metric"].summary
    assert results["slices"].outcome == "inconclusive"
    assert "has no column shoe_size" in results["slices"].summary
    assert "no champion" in results["champion_comparison"].summary
    assert results["champion_comparison"].outcome == "pass"


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
    results = ask(entry, *(each for each in MEASURED if each["id"] != "champion_comparison"))
    assert outcomes(results) == {
        "artifact_verified": "fail",
        **dict.fromkeys(
            ("metric", "calibration", "slices", "resources", "dependencies"), "inconclusive"
        ),
    }
    assert "Nothing of them was loaded" in results["metric"].summary


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
    assert outcomes(results) == {
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
