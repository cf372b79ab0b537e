"""Checks of model_selector and model_trainer: phases 2 and 3, and their part of the chain."""

from training.audit_checks import artifacts, chain, database, pipelines, runs

__all__ = ["artifacts", "chain", "database", "pipelines", "runs"]
