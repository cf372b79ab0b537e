"""What the row of a run says, from what MLflow says of the run."""

from __future__ import annotations

import hashlib
from typing import Any

from e2i_site.mlflow_connector import types
from e2i_site.mlflow_connector.delivery import JOURNAL_TAG
from e2i_site.mlflow_connector.sources import RunRecord
from training.choices import RunRole, RunSource, RunStatus
from training.models import MlflowExperiment

#: Of the rules below. With another one all rows are derived anew, some at each sweep.
RULES = 1
_STATUS = {
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.SCHEDULED,
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.KILLED,
}
_ROLES_BY_TAG = {
    "training": RunRole.TRAINING,
    "trial": RunRole.TRIAL,
    "candidate": RunRole.CANDIDATE,
    "baseline": RunRole.CANDIDATE,
    "selection": RunRole.SELECTION,
    "deployment": RunRole.DEPLOYMENT,
}
_ROLES_BY_AGENT = {
    "model_trainer": (RunRole.TRAINING, RunRole.TRIAL),
    "model_selection": (RunRole.SELECTION, RunRole.CANDIDATE),
    "model_deployer": (RunRole.DEPLOYMENT, RunRole.DEPLOYMENT),
}
_FRAMEWORKS = {"torch": "pytorch", "keras": "tensorflow"} | {
    name: name
    for name in (
        "sklearn",
        "xgboost",
        "lightgbm",
        "catboost",
        "tensorflow",
        "statsmodels",
        "econml",
    )
}


def mirrored(record: RunRecord) -> dict[str, Any]:
    """What MLflow alone decides, of every run."""
    run = record.run
    return {
        "mlflow_run_id": run.run_id,
        "mlflow_experiment_id": run.experiment_id,
        "deleted_in_mlflow": run.is_deleted,
        "ended_in_mlflow": run.is_terminal,
        "user_name": (run.user_id or run.tags.get("mlflow.user", ""))[:200],
        "params": run.params,
        "metrics": record.metrics,
        "tags": run.tags,
        "datasets": [
            {
                "name": each.name,
                "digest": each.digest,
                "source_type": each.source_type,
                "source": each.source,
                "context": each.context,
            }
            for each in run.datasets
        ],
        "model_outputs": list(run.model_outputs),
    }


def salt(experiment: MlflowExperiment) -> str:
    """The rest of what a row depends on: the rules, and whose experiment it is."""
    facts = f"{RULES} {experiment.experiment_id} {experiment.agent_type}"
    return hashlib.blake2b(facts.encode(), digest_size=4).hexdigest()


def derived(run: types.Run, experiment: MlflowExperiment) -> dict[str, Any]:
    """The rest, as far as MLflow tells; what it does not tell stays empty."""
    ours = JOURNAL_TAG in run.tags
    return {
        "experiment_id": experiment.experiment_id,
        "run_name": run.name[:500],
        "status": _STATUS.get(run.status, RunStatus.RUNNING),
        "role": _own_role(run, experiment) if ours else _others_role(run),
        "source": RunSource.E2I if ours else RunSource.MLFLOW,
        "mlflow_available": run.is_terminal or not ours,
        "algorithm": _algorithm(run)[:60],
        "framework": _framework(run)[:40],
        "hyperparameters": _hyperparameters(run),
        "model_artifact_uri": f"models:/{run.model_outputs[-1]}" if run.model_outputs else "",
        "started_at": run.start_time,
        "completed_at": run.end_time,
        "duration_seconds": _duration(run),
    }


def _own_role(run: types.Run, experiment: MlflowExperiment) -> RunRole:
    if role := _ROLES_BY_TAG.get(run.tags.get("role", "")):
        return role
    top, nested = _ROLES_BY_AGENT.get(experiment.agent_type, (RunRole.OTHER, RunRole.OTHER))
    return nested if run.parent_run_id else top


def _others_role(run: types.Run) -> RunRole:
    """A nested run is a trial of something; a run that made a model is a training."""
    if run.parent_run_id:
        return RunRole.TRIAL
    made_model = run.model_outputs or "mlflow.log-model.history" in run.tags
    return RunRole.TRAINING if made_model else RunRole.OTHER


def _algorithm(run: types.Run) -> str:
    """As E2I logs it, else as MLflow's autologging does."""
    told = run.tags.get("algorithm") or run.params.get("algorithm_name")
    return told or run.tags.get("estimator_name", "")


def _framework(run: types.Run) -> str:
    if told := run.tags.get("framework") or run.params.get("framework"):
        return told
    return _FRAMEWORKS.get(run.tags.get("estimator_class", "").split(".")[0], "")


def _hyperparameters(run: types.Run) -> dict[str, str]:
    """Parameters with the prefix `hp_`, without it; all of them where none has it."""
    own = {
        name.removeprefix("hp_"): value
        for name, value in run.params.items()
        if name.startswith("hp_")
    }
    return own or run.params


def _duration(run: types.Run) -> float | None:
    if run.start_time is None or run.end_time is None or run.end_time < run.start_time:
        return None
    return (run.end_time - run.start_time).total_seconds()
