"""Tags that every run of ours carries in MLflow."""

from __future__ import annotations

from training.code_version import git_commit
from training.models import Selection, TrainingRun


def tags_of(owner: TrainingRun | Selection) -> dict[str, str]:
    """Who asked, which code, which row, which selection. What is not known is left out."""
    tags = {
        "mlflow.user": owner.created_by.get_username() if owner.created_by else "e2i",
        "mlflow.source.name": "e2i",
        "mlflow.source.git.commit": git_commit(),
    }
    if isinstance(owner, TrainingRun):
        tags["e2i.training_run"] = str(owner.pk)
        if owner.selection is not None and owner.selection.mlflow_run_id:
            tags["selection_run_id"] = owner.selection.mlflow_run_id
    else:
        tags["e2i.selection"] = str(owner.pk)
    return {name: value for name, value in tags.items() if value}
