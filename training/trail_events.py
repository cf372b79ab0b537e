"""What training writes to the trail."""

from e2i_site.trail.events import register

DATASET_IMPORTED = register("training.dataset.imported", "Data set imported")
EXPERIMENT_CREATED = register("training.experiment.created", "Experiment created")
SELECTION_REQUESTED = register("training.selection.requested", "Selection requested")
SELECTION_FINISHED = register("training.selection.finished", "Selection finished")
SELECTION_FAILED = register("training.selection.failed", "Selection failed")
SELECTION_DELIVERED = register("training.selection.delivered", "Selection written to MLflow")
TRAINING_REQUESTED = register("training.run.requested", "Training requested")
TRAINING_FINISHED = register("training.run.finished", "Training finished")
TRAINING_FAILED = register("training.run.failed", "Training failed")
TRAINING_KILLED = register("training.run.killed", "Training stopped")
TRAINING_DELIVERED = register("training.run.delivered", "Training run written to MLflow")
