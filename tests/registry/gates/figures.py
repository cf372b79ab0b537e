"""What was measured of the good version, down to the figures, and judged by other limits."""

from __future__ import annotations

from typing import Any

import pytest
from django.template.loader import render_to_string

from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from registry.gates.base import Reopened, judge_again
from registry.models import RegistryEntry, TestPredictions, VersionMeasurement
from registry.views.gates import gate_view
from tests.registry.gates.trained import Classroom

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


def check_numbers(classroom: Classroom, results: dict[str, Any]) -> None:
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


def check_drawings(results: dict[str, Any]) -> None:
    """What is drawn, and that lists of numbers come as tables beside it."""
    views = {gate_id: gate_view(result) for gate_id, result in results.items()}
    drawn = {gate_id for gate_id, view in views.items() if view.drawing}
    assert drawn == {"champion_comparison", "calibration", "slices", "resources"}
    page = render_to_string("registry/_gates.html", {"gates": views.values()})
    assert page.count('<svg class="plot"') == len(drawn)
    assert "plan basic" in page
    assert {table.caption for table in views["calibration"].tables} >= {"Bins"}
    assert {table.caption for table in views["resources"].tables} >= {"Calls"}


def check_kept_evidence(entry: RegistryEntry, champion: RegistryEntry) -> None:
    kinds = set(VersionMeasurement.objects.values_list("kind", flat=True))
    assert kinds == {
        "test_metrics", "paired_difference", "slices", "serving", "requirements", "files",
        "rollback_readiness",
    }  # fmt: skip
    assert {row.artifact_digest for row in VersionMeasurement.objects.all()} == {
        entry.artifact_digest
    }
    answered = set(TestPredictions.objects.values_list("artifact_digest", flat=True))
    assert answered == {entry.artifact_digest, champion.artifact_digest}
    noted = TrailEntry.objects.filter(event="registry.version.measured")
    assert {note.new["kind"] for note in noted} == kinds


def check_moved_limits(ask: Any, entry: RegistryEntry, first: dict[str, Any]) -> None:
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


def check_errors(ask: Any, entry: RegistryEntry) -> None:
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
