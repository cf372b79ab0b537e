"""model_trainer: from a data set to an evaluated, logged and checkpointed model."""
