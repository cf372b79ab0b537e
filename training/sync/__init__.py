"""Mirror MLflow's experiments, runs and logged models. Rows that say the same are not written."""

from training.sync.counts import Counts
from training.sync.experiments import ask_missing, mirror_experiments, mirror_missing
from training.sync.logged_models import LoggedModelMirror
from training.sync.runs import RunMirror

__all__ = [
    "Counts",
    "LoggedModelMirror",
    "RunMirror",
    "ask_missing",
    "mirror_experiments",
    "mirror_missing",
]
