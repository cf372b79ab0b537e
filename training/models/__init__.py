"""Tables of the training room."""

from training.models.dataset import Dataset
from training.models.experiment import Experiment, MlflowExperiment
from training.models.mirror import LoggedModel, RunMetric, SearchName
from training.models.node import PipelineNode
from training.models.quality import DataQualityReport, SplitDefinition
from training.models.run import TrainingRun
from training.models.selection import Candidate, Selection
from training.models.study import Study, Trial

__all__ = [
    "Candidate",
    "DataQualityReport",
    "Dataset",
    "Experiment",
    "LoggedModel",
    "MlflowExperiment",
    "PipelineNode",
    "RunMetric",
    "SearchName",
    "Selection",
    "SplitDefinition",
    "Study",
    "TrainingRun",
    "Trial",
]
