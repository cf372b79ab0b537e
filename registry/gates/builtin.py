"""The gates that the registry brings itself."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from e2i_site.audit.choices import Priority
from e2i_site.audit.models import Finding
from registry.gates.base import GateContext, Measurement, failed, gate, inconclusive, passed
from registry.gates.parameters import Kind, Parameter
from training.choices import RunSource


@gate("artifact_digest", title="Artifact digest")
def artifact_digest(context: GateContext) -> Measurement:
    """The bytes are known, so that an approval is about something definite.

    Reads the SHA-256 of the version's files. Inconclusive until it is computed; never fails.
    """
    digest = context.entry.artifact_digest
    if not digest:
        return inconclusive("The digest of the model's files has not been computed yet.")
    return passed(
        "The model's files are known by digest; each roll-out checks them against it.",
        measured=digest,
        evidence={"digest": digest, "source": context.entry.mlflow_model_uri},
    )


@gate("signature", title="Signature")
def signature(context: GateContext) -> Measurement:
    """Inputs and outputs are declared.

    Reads the signature that MLflow holds of the version. Fails when inputs or outputs are missing;
    never inconclusive.
    """
    declared = context.entry.signature
    missing = [part for part in ("inputs", "outputs") if not declared.get(part)]
    if missing:
        return failed(f"The model declares no {' and no '.join(missing)}.", evidence=declared)
    inputs, outputs = declared["inputs"], declared["outputs"]
    return passed(
        f"Declares {len(inputs)} inputs and {len(outputs)} outputs.",
        measured=f"{len(inputs)} in, {len(outputs)} out",
        evidence=declared,
    )


@gate("lineage", title="Lineage")
def lineage(context: GateContext) -> Measurement:
    """Version, run, experiment and data set are linked, and the run still exists.

    Reads the version's run, its experiment and its data set. Fails when the run was deleted in
    MLflow or is not the one that the version names; inconclusive when one of them is not recorded.
    """
    run = context.entry.training_run
    if run is None:
        return inconclusive("The version points to no run that is known here.")
    facts: dict[str, Any] = {
        "mlflow_run_id": run.mlflow_run_id,
        "experiment": run.experiment.experiment_id if run.experiment else None,
        "dataset": run.dataset.name if run.dataset else None,
        "dataset_digest": run.dataset.digest if run.dataset else None,
        "selection": run.selection_id,
    }
    if run.deleted_in_mlflow:
        return failed("Its run was deleted in MLflow.", evidence=facts)
    if run.mlflow_run_id != context.entry.mlflow_run_id:
        return failed("Version and run name different MLflow runs.", evidence=facts)
    needed = ["mlflow_run_id", "experiment"]
    if run.source == RunSource.E2I:
        needed.append("dataset_digest")
    if missing := [name for name in needed if not facts[name]]:
        return inconclusive(f"Not recorded: {', '.join(missing)}.", evidence=facts)
    return passed("Version, run, experiment and data set are linked.", evidence=facts)


@gate("data_quality", title="Data quality")
def data_quality(context: GateContext) -> Measurement:
    """The QC gate of the training run let the data through.

    Reads the data-quality report of the run. Fails when the report blocks; inconclusive without
    one.
    """
    run = context.entry.training_run
    report = getattr(run, "data_quality", None) if run else None
    if report is None or report.score is None:
        return inconclusive("No data-quality report belongs to its run.")
    details: dict[str, Any] = {
        "measured": f"{report.score:.3f}",
        "limit": "≥ 0.80",
        "evidence": {"dimensions": report.dimensions, "blocking": report.blocking},
        "measured_at": report.created_at,
    }
    if not report.passed:
        return failed(f"Blocked: {'; '.join(report.blocking)}.", **details)
    return passed(f"Quality score {report.score:.3f}, nothing blocking.", **details)


@gate("success_criteria", title="Success criteria")
def success_criteria(context: GateContext) -> Measurement:
    """Every criterion of the experiment is met on the test split.

    Reads the experiment's success criteria and the run's test metrics. Fails when one is not met;
    inconclusive without criteria, or where a metric was not measured.
    """
    run, experiment = context.entry.training_run, context.entry.experiment
    criteria = experiment.success_criteria if experiment else {}
    if not criteria or run is None:
        return inconclusive("The experiment sets no success criteria, so none can be met.")
    rows = []
    for name, rule in criteria.items():
        value = run.test_metrics.get(rule["metric"])
        better = rule["direction"] == "min"
        met = (
            None
            if value is None
            else (value >= rule["limit"]) == better or (value == rule["limit"])
        )
        rows.append({"criterion": name, **rule, "measured": value, "met": met})
    details: dict[str, Any] = {
        "measured": ", ".join(_shown(row["metric"], row["measured"]) for row in rows),
        "limit": ", ".join(
            f"{'≥' if row['direction'] == 'min' else '≤'} {row['limit']:g}" for row in rows
        ),
        "sample_size": run.test_samples,
        "evidence": {"criteria": rows},
        "measured_at": run.completed_at or run.started_at,
    }
    if missing := [row["metric"] for row in rows if row["met"] is None]:
        return inconclusive(f"Not measured on the test split: {', '.join(missing)}.", **details)
    if unmet := [row["criterion"] for row in rows if not row["met"]]:
        return failed(f"Not met: {', '.join(unmet)}.", **details)
    return passed(f"All {len(rows)} criteria are met on the test split.", **details)


@gate(
    "open_findings",
    title="Open findings",
    parameters={
        "blocking": Parameter(
            Kind.TEXTS,
            "Priorities that block",
            default=["P0", "P1"],
            choices=tuple(Priority.values),
        )
    },
)
def open_findings(context: GateContext) -> Measurement:
    """No urgent audit finding is open on the version.

    Reads the audit's open findings on the version that nobody waived. Fails when one is at
    least as urgent as the least urgent priority named; never inconclusive.
    """
    level = max(context.parameter("blocking"))
    found = Finding.objects.open(timezone.now()).about(context.entry).at_least(level)
    rows = [
        {"id": finding.pk, "check": finding.check_id, "priority": finding.priority}
        for finding in found.order_by("priority", "pk")
    ]
    details: dict[str, Any] = {"measured": str(len(rows)), "limit": f"0 up to {level}"}
    if rows:
        checks = ", ".join(f"{row['check']} ({row['priority']})" for row in rows)
        return failed(f"Open on this version: {checks}.", evidence={"findings": rows}, **details)
    return passed(f"No finding up to {level} is open on this version.", **details)


def _shown(metric: str, value: float | None) -> str:
    return f"{metric} not measured" if value is None else f"{metric} {value:.4f}"
