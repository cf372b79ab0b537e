"""Experiments, and which of them a sync has to read whole: those that came or went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from e2i_site.mlflow_connector.types import Experiment
from registry.sync.session import Session
from training.models import MlflowExperiment
from training.sync import ask_missing, mirror_experiments, mirror_missing


def mirror_all_experiments(session: Session) -> list[Experiment]:
    """Mirror MLflow's experiments; returns what it lists.

    Raises:
        Unreachable: MLflow does not say what became of one that it does not list any more.
    """
    session.alive("Experiments")
    known = set(MlflowExperiment.objects.values_list("mlflow_id", flat=True))
    experiments = list(session.connector.iter_experiments())
    with _noted(session):
        mirror_experiments(experiments, session.report.experiments)
    presences = ask_missing(experiments, known)
    with _noted(session):
        mirror_missing(presences, session.report.experiments)
    return experiments


@contextmanager
def _noted(session: Session) -> Iterator[None]:
    """Runs of experiments that get deleted, restored or shown are read again; not hidden ones.

    That is kept together with what was stored, which is no change any more when the next sync
    looks.
    """
    with transaction.atomic():
        were_away = _away()
        yield
        away = _away()
        session.cursor.read_again(mlflow_id for mlflow_id, *_ in away ^ were_away)
        session.cursor.was_read(mlflow_id for mlflow_id, _, hidden_since in away if hidden_since)
        session.keep()


def _away() -> set[tuple[Any, ...]]:
    """Experiments that are deleted or hidden, each with which of the two."""
    rows = MlflowExperiment.objects.exclude(deleted=False, hidden_since=None)
    return set(rows.values_list("mlflow_id", "deleted", "hidden_since"))
