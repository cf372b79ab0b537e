"""2.3, 2.5: the model's files, its signature and preprocessing, and the framework it claims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, SubjectOutcome, check
from e2i_site.mlflow_connector.errors import NotFound
from e2i_site.mlflow_connector.types import LoggedModel
from training.audit_checks.rows import (
    HIDDEN,
    delivered_runs,
    examined_runs,
    is_hidden,
    with_mlflow,
)
from training.models import TrainingRun

# What a model's requirements must name for its framework.
DISTRIBUTION = {"sklearn": "scikit-learn", "lightgbm": "lightgbm", "xgboost": "xgboost"}


@check(
    "2.3",
    phase=2,
    title="The model of every trainer run is in MLflow with signature, example and preprocessing",
    remediation="Restore MLflow's artifact store from its backup, or deliver the run's journal "
    "again. A model without signature or preprocessing has to be trained again.",
    priority=Priority.P1,
)
def models_are_there(context: CheckContext) -> Iterator[SubjectOutcome]:
    """All runs have a ready logged model; those in use and the latest are opened."""
    models = _models(context)
    opened = {each.pk for each in examined_runs()}
    for row in delivered_runs():
        found = models.get(row.mlflow_run_id or "", [])
        ready = [each for each in found if each.status == "READY"]
        if not ready and is_hidden(row):
            yield context.inconclusive(row, HIDDEN)
        elif not ready:
            message = "Its model is not complete." if found else "MLflow has no model of this run."
            yield context.failed(row, message)
        elif row.model_artifact_uri not in [each.uri for each in ready]:
            evidence = {"here": row.model_artifact_uri, "mlflow": [each.uri for each in ready]}
            yield context.failed(row, "Its row names another model.", evidence=evidence)
        elif row.pk not in opened:
            yield context.passed(row, "A ready model; its files were not opened.")
        elif problems := list(_file_problems(context, row)):
            yield context.failed(row, " ".join(problems))
        else:
            yield context.passed(row, "Model, signature, input example and preprocessing.")


def _models(context: CheckContext) -> dict[str, list[LoggedModel]]:
    """Logged models by run, of the experiments that the trainer's runs live in and we may read."""
    rows = [each for each in delivered_runs() if not is_hidden(each)]
    wanted = {each.mlflow_experiment_id for each in rows if each.mlflow_experiment_id}
    found: dict[str, list[LoggedModel]] = {}
    for model in context.connector.find_logged_models(sorted(wanted)) if wanted else ():
        found.setdefault(model.source_run_id, []).append(model)
    return found


def _file_problems(context: CheckContext, row: TrainingRun) -> Iterator[str]:
    try:
        description = read_mlmodel(context, row.model_artifact_uri)
    except NotFound:
        yield "Its MLmodel file is gone."
        return
    signature = description.get("signature") or {}
    if not signature.get("inputs") or not signature.get("outputs"):
        yield "It has no signature."
    if not description.get("saved_input_example_info"):
        yield "It has no input example."
    try:
        read_mlmodel(context, row.preprocessing_artifact_uri)
    except NotFound:
        yield "Its preprocessing is gone."


def read_mlmodel(context: CheckContext, uri: str) -> dict[str, Any]:
    """The MLmodel file below `uri` as a dict. NotFound when there is none, or no uri."""
    if not uri:
        raise NotFound("No uri is recorded.")
    content = yaml.safe_load(context.connector.read_artifact(f"{uri}/MLmodel"))
    return content if isinstance(content, dict) else {}


@check(
    "2.5",
    phase=2,
    title="The recorded framework is the one that was detected and that the model needs",
    remediation="The framework was written by hand or guessed. Sync the run; if its model's "
    "requirements name another library, train again.",
    priority=Priority.P2,
)
def framework_is_true(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Row, parameter, tag and algorithm agree; requirements of models in use name the library."""
    from training.pipeline.algorithms import find

    opened = {each.pk for each in examined_runs()}
    for row, run in with_mlflow(context, delivered_runs()):
        if run is None and is_hidden(row):
            yield context.inconclusive(row, HIDDEN)
        if run is None:
            continue  # 2.1 speaks of those
        evidence = {
            "row": row.framework,
            "parameter": run.params.get("framework"),
            "tag": run.tags.get("framework"),
            "algorithm": find(row.algorithm).framework,
        }
        if row.pk in opened:
            evidence["requirements"] = _needs(context, row)
        if len(set(evidence.values())) > 1 or not row.framework:
            yield context.failed(row, "The records do not agree.", evidence=evidence)
        else:
            yield context.passed(row, row.framework, evidence=evidence)


def _needs(context: CheckContext, row: TrainingRun) -> str:
    """The framework that the model's pinned requirements stand for; "missing" without any."""
    try:
        text = context.connector.read_artifact(f"{row.model_artifact_uri}/requirements.txt")
    except NotFound:
        return "missing"
    names = {line.split("==")[0].strip().lower() for line in text.decode().splitlines()}
    # scikit-learn carries the pipeline of every model, so the others are looked for first.
    for framework in ("lightgbm", "xgboost", "sklearn"):
        if DISTRIBUTION[framework] in names:
            return framework
    return "unknown"
