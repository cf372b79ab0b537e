"""The four cases of every gate: what is done to the world, and words of what the gate says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from deployments.models import ShadowWindow
from deployments.shadow.evidence import ShadowLimits
from deployments.store import ArtifactStore
from e2i_site.audit.models import Finding
from e2i_site.jobs.models import Job
from registry.actions.sign_version import ask_for_signature
from registry.choices import GateOutcome
from registry.models import ModelCard, VersionSignature
from tests.factories.audit import FindingFactory
from tests.factories.deployments import (
    DeploymentFactory,
    ShadowWindowFactory,
    TrafficMinuteFactory,
)
from tests.factories.training import DatasetFactory, QualityFactory
from tests.registry.gates.world import World
from tests.training.conftest import perform
from training.models.experiment import CRITERIA

Case = Callable[[World], str]


def _rotten_store(world: World) -> str:
    """Somebody changed a byte in the store after the version was deployed."""
    store = ArtifactStore(world.settings.ARTIFACT_STORE)
    file = store.path(world.champion.artifact_digest) / "MLmodel"
    content = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(content + b"\n")
    found = world.measured_anew("rollback_readiness", "rollback_readiness")
    file.write_bytes(content)
    return found


LIMITS = ShadowLimits(0.01, requests=20, error_rate=0.2, p99_ms=150, sequential=False)


def _shadowed(world: World, requests: int, errors: int = 0, limits: Any = None) -> str:
    """What the gate says of half an hour of mirrored traffic."""
    ShadowWindow.objects.filter(entry=world.good).delete()
    deployment = DeploymentFactory(entry=world.good, strategy="shadow", status="retired")
    ShadowWindowFactory(
        deployment=deployment, entry=world.good, limits=limits or LIMITS.to_json(),
        opened_at=timezone.now() - timedelta(minutes=30),
    )  # fmt: skip
    TrafficMinuteFactory(
        deployment=deployment, minutes_ago=5, durations=(5.0,) * requests, errors=errors
    )
    rules = {"production": {"gates": [], "shadow": LIMITS.to_json()}}
    return world.outcome("shadow_evidence", stages=rules)


def _with(row: Any, outcome: Callable[[], str], **values: Any) -> str:
    """What is said while the row holds other values."""
    before = {name: getattr(row, name) for name in values}
    type(row).objects.filter(pk=row.pk).update(**values)
    try:
        return outcome()
    finally:
        type(row).objects.filter(pk=row.pk).update(**before)


def _entry(world: World, gate_id: str, **values: Any) -> str:
    return _with(world.good, lambda: world.outcome(gate_id), **values)


def _run(world: World, gate_id: str, **values: Any) -> str:
    return _with(world.good.training_run, lambda: world.outcome(gate_id), **values)


def _criteria(world: World, minimum_auc: float | None) -> str:
    values = {**dict.fromkeys(CRITERIA), "minimum_auc": minimum_auc}
    return _with(world.good.experiment, lambda: world.outcome("success_criteria"), **values)


def _quality(world: World, **values: Any) -> str:
    report = QualityFactory(training_run=world.good.training_run, **values)
    found = world.outcome("data_quality")
    report.delete()
    return found


def _card(world: World, *, specification: Any = None, **texts: str) -> str:
    card = ModelCard.objects.create(entry=world.good, **texts)
    found = world.outcome("model_card", **(specification or {}))
    card.delete()
    return found


def _callers(world: World, signature: Any) -> str:
    return _with(world.champion, lambda: world.outcome("compatible_signature"), signature=signature)


def _wider(world: World) -> dict[str, Any]:
    """A signature of the champion without one column that the version needs."""
    signature = dict(world.champion.signature)
    return {**signature, "inputs": signature["inputs"][1:]}


def _found(world: World) -> str:
    finding: Finding = FindingFactory(
        subject_kind="registry.registryentry", subject_key=str(world.good.pk), priority="P0"
    )
    found = world.outcome("open_findings")
    finding.delete()
    return found


def _other_data(world: World) -> str:
    other = DatasetFactory(name="others")
    return _with(world.champion.training_run, lambda: world.outcome("dataset"), dataset_id=other.pk)


def _signed(world: World) -> str:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world.settings, "MODEL_SIGNING_KEY", str(world.keys / "key.pem"))
        if not (world.keys / "key.pem").exists():
            call_command("make_signing_key")
            ask_for_signature(world.good)
            perform(Job.objects.get(kind="registry.sign_version"))
        return world.measured_anew("model_signature", "files")


def _unsigned(world: World) -> str:
    VersionSignature.objects.all().delete()
    return world.measured_anew("model_signature", "files")


CARD = dict.fromkeys(("description", "intended_use", "limitations", "owner"), "Said.")
PASS, FAIL, OPEN, ERROR = (
    GateOutcome.PASS,
    GateOutcome.FAIL,
    GateOutcome.INCONCLUSIVE,
    (GateOutcome.ERROR),
)
SLICES = {"columns": ["plan"], "metric": "roc_auc", "minimum": 0.6}
METRIC = {"minimum": {"roc_auc": 0.7}}
WIDE = {"p99_ms": 60_000, "memory_mb": 64_000}
# {gate: {outcome: (what is done, words of the summary)}}
CASES: dict[str, dict[str, tuple[Case, str]]] = {
    "artifact_digest": {
        PASS: (lambda w: w.outcome("artifact_digest"), "known by digest"),
        OPEN: (lambda w: _entry(w, "artifact_digest", artifact_digest=""), "not been computed"),
    },
    "signature": {
        PASS: (lambda w: w.outcome("signature"), "Declares 4 inputs"),
        FAIL: (lambda w: _entry(w, "signature", signature={}), "no inputs and no outputs"),
        ERROR: (lambda w: _entry(w, "signature", signature=["x"]), "could not be evaluated"),
    },
    "lineage": {
        PASS: (lambda w: w.outcome("lineage"), "are linked"),
        FAIL: (lambda w: _run(w, "lineage", deleted_in_mlflow=True), "was deleted"),
        OPEN: (lambda w: _run(w, "lineage", experiment=None), "Not recorded: experiment"),
    },
    "data_quality": {
        PASS: (lambda w: _quality(w), "nothing blocking"),
        FAIL: (lambda w: _quality(w, passed=False, blocking=["leakage"]), "Blocked: leakage"),
        OPEN: (lambda w: w.outcome("data_quality"), "No data-quality report"),
        ERROR: (lambda w: _quality(w, passed=False, blocking=5), "could not be evaluated"),
    },
    "success_criteria": {
        PASS: (lambda w: _criteria(w, 0.6), "criteria are met"),
        FAIL: (lambda w: _criteria(w, 0.999), "Not met: minimum_auc"),
        OPEN: (lambda w: _criteria(w, None), "no success criteria"),
        ERROR: (lambda w: _run(w, "success_criteria", test_metrics=["x"]), "could not be"),
    },
    "open_findings": {
        PASS: (lambda w: w.outcome("open_findings"), "No finding up to P1"),
        FAIL: (_found, "Open on this version"),
        ERROR: (lambda w: w.outcome("open_findings", blocking=[]), "could not be evaluated"),
    },
    "model_card": {
        PASS: (lambda w: _card(w, **CARD), "Every required field"),
        FAIL: (lambda w: _card(w, description="Said."), "Not filled in: intended use"),
        OPEN: (lambda w: w.outcome("model_card"), "Nobody has written"),
        ERROR: (lambda w: w.outcome("model_card", fields=["colour"]), "has no field colour"),
    },
    "dataset": {
        PASS: (lambda w: w.outcome("dataset"), "The same data as"),
        FAIL: (_other_data, "was trained on other data"),
        OPEN: (lambda w: _run(w, "dataset", dataset=None), "was not recorded"),
    },
    "compatible_signature": {
        PASS: (lambda w: w.outcome("compatible_signature"), "answers in the same form"),
        FAIL: (lambda w: _callers(w, _wider(w)), "is required now and is not sent"),
        OPEN: (lambda w: _callers(w, {}), "declares no signature"),
        ERROR: (lambda w: _callers(w, {"inputs": 5}), "could not be evaluated"),
    },
    "metric": {
        PASS: (lambda w: w.outcome("metric", **METRIC), "Kept on its test rows"),
        FAIL: (lambda w: w.outcome("metric", minimum={"roc_auc": 0.999}), "Not kept"),
        OPEN: (lambda w: w.outcome("metric"), "names no metric"),
        ERROR: (lambda w: w.corrupted("metric", "test_metrics", **METRIC), "could not be"),
    },
    "calibration": {
        PASS: (lambda w: w.outcome("calibration"), "Kept on its test rows"),
        FAIL: (lambda w: w.outcome("calibration", slope_minimum=5), "Not kept"),
        OPEN: (lambda w: w.unmeasured("calibration", "test_metrics"), "being measured"),
        ERROR: (lambda w: w.corrupted("calibration", "test_metrics"), "could not be"),
    },
    "slices": {
        PASS: (lambda w: w.outcome("slices", **SLICES), "keeps its limits"),
        FAIL: (lambda w: w.outcome("slices", **{**SLICES, "minimum": 0.999}), "breaks its limit"),
        OPEN: (lambda w: w.outcome("slices", **SLICES, smallest=10**6), "Cannot be judged"),
        ERROR: (lambda w: w.corrupted("slices", "slices", **SLICES), "could not be"),
    },
    "champion_comparison": {
        PASS: (lambda w: w.outcome("champion_comparison", tolerance=0.2), "not worse"),
        FAIL: (lambda w: w.outcome("champion_comparison", w.spoiled), "worse by more than"),
        OPEN: (lambda w: w.outcome("champion_comparison", metric="none"), "could not be compared"),
        ERROR: (lambda w: w.corrupted("champion_comparison", "paired_difference"), "could not be"),
    },
    "resources": {
        PASS: (lambda w: w.outcome("resources", **WIDE), "within limits"),
        FAIL: (lambda w: w.outcome("resources", p99_ms=1e-9), "Over the limit: p99"),
        OPEN: (lambda w: w.unmeasured("resources", "serving"), "being measured"),
        ERROR: (lambda w: w.corrupted("resources", "serving"), "could not be"),
    },
    "dependencies": {
        PASS: (lambda w: w.outcome("dependencies"), "installed and importable"),
        FAIL: (lambda w: w.outcome("dependencies", w.spoiled), "no-such-package-anywhere"),
        OPEN: (lambda w: w.unmeasured("dependencies", "requirements"), "being measured"),
        ERROR: (lambda w: w.corrupted("dependencies", "requirements"), "could not be"),
    },
    "artifact_verified": {
        PASS: (lambda w: w.outcome("artifact_verified"), "exactly the recorded files"),
        FAIL: (lambda w: _entry(w, "artifact_verified", artifact_digest="0" * 64), "are not those"),
        OPEN: (lambda w: w.unmeasured("artifact_verified", "files"), "being measured"),
        ERROR: (lambda w: w.corrupted("artifact_verified", "files"), "could not be"),
    },
    "model_signature": {
        PASS: (_signed, ""),
        FAIL: (_unsigned, ""),
        OPEN: (lambda w: w.unmeasured("model_signature", "files"), "being measured"),
        ERROR: (lambda w: w.corrupted("model_signature", "files"), "could not be"),
    },
    "rollback_readiness": {
        PASS: (lambda w: w.outcome("rollback_readiness"), "verifies, loads and answers"),
        FAIL: (_rotten_store, "changed on disk"),
        OPEN: (
            lambda w: w.unmeasured("rollback_readiness", "rollback_readiness"),
            "being measured",
        ),
        ERROR: (lambda w: w.corrupted("rollback_readiness", "rollback_readiness"), "could not be"),
    },
    "shadow_evidence": {
        PASS: (lambda w: _shadowed(w, 40), "Shadow window"),
        FAIL: (lambda w: _shadowed(w, 40, errors=30), "Shadow window"),
        OPEN: (lambda w: _shadowed(w, 3), "Shadow window"),
        ERROR: (lambda w: _shadowed(w, 40, limits={"odd": 1}), "could not be evaluated"),
    },
}
# Outcomes that a gate has no way to, held against its source by a test.
NEVER = {
    ("artifact_digest", FAIL), ("artifact_digest", ERROR), ("signature", OPEN),
    ("open_findings", OPEN), ("lineage", ERROR), ("dataset", ERROR),
}  # fmt: skip
