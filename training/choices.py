"""Values that columns may hold, with the words people see."""

from __future__ import annotations

from django.db import models


class ProblemType(models.TextChoices):
    BINARY = "binary", "Binary classification"
    MULTICLASS = "multiclass", "Multiclass classification"
    REGRESSION = "regression", "Regression"


class RunStatus(models.TextChoices):
    SCHEDULED = "scheduled", "Scheduled"
    RUNNING = "running", "Running"
    FINISHED = "finished", "Finished"
    FAILED = "failed", "Failed"
    KILLED = "killed", "Killed"


UNFINISHED_RUN = (RunStatus.SCHEDULED, RunStatus.RUNNING)


class RunSource(models.TextChoices):
    E2I = "e2i", "E2I"
    MLFLOW = "mlflow", "Logged to MLflow by others"


class RunRole(models.TextChoices):
    """What a run is in the chain; nested runs stay out of the lists people read."""

    TRAINING = "training", "Training"
    SELECTION = "selection", "Selection"
    CANDIDATE = "candidate", "Candidate of a selection"
    TRIAL = "trial", "Trial of a study"
    DEPLOYMENT = "deployment", "Deployment"
    OTHER = "other", "Other"


class NodeOutcome(models.TextChoices):
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Done"
    FAILED = "failed", "Failed"
    BLOCKED = "blocked", "Blocked"
    SKIPPED = "skipped", "Skipped"
    INTERRUPTED = "interrupted", "Interrupted"


class CandidateOutcome(models.TextChoices):
    RANKED = "ranked", "Ranked"
    BENCHMARKED = "benchmarked", "Benchmarked"
    EXCLUDED = "excluded", "Excluded"
    FAILED = "failed", "Failed"
    SELECTED = "selected", "Selected"


class CandidateRole(models.TextChoices):
    CANDIDATE = "candidate", "Candidate"
    BASELINE = "baseline", "Baseline"
    DUMMY = "dummy", "Dummy predictor"


class TrialState(models.TextChoices):
    COMPLETE = "complete", "Complete"
    PRUNED = "pruned", "Pruned"
    FAILED = "failed", "Failed"


class DatasetKind(models.TextChoices):
    FILE = "file", "Imported file"
    BUNDLED = "bundled", "Shipped with E2I"
    SKLEARN = "sklearn", "Shipped with scikit-learn"


class SplitStrategy(models.TextChoices):
    STRATIFIED = "stratified", "Stratified"
    GROUPED = "grouped", "Grouped"
    CHRONOLOGICAL = "chronological", "Chronological"
    RANDOM = "random", "Random"
