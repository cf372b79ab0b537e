"""A small real question, asked through the same actions as the site, and jobs run on the spot."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from e2i_site.jobs import runner
from e2i_site.jobs.models import BreakerRecord, Job
from tests.faults import FaultProxy
from training.actions.create_experiment import create_experiment
from training.actions.import_dataset import import_dataset
from training.models import Experiment


def visits(rows: int = 400, seed: int = 1) -> pd.DataFrame:
    """A binary question with two numbers and a category; ROC AUC near .85."""
    generator = np.random.default_rng(seed)
    age, income = generator.normal(size=(2, rows))
    plan = generator.choice(["basic", "full"], size=rows)
    score = age - 0.7 * income + (plan == "full") + generator.normal(size=rows)
    return pd.DataFrame(
        {"age": age, "income": income, "plan": plan, "visits": np.maximum(0, score)}
    )


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "visits.csv"
    visits().to_csv(path, index=False)
    return path


@pytest.fixture
def experiment(people: SimpleNamespace, csv: Path) -> Experiment:
    """An experiment with a name that is new in the shared MLflow server."""
    dataset = import_dataset(
        actor=people.requester, name="visits", path=csv, target="any_visit = visits > 0"
    )
    return create_experiment(
        actor=people.requester,
        experiment_id=f"visits-{uuid.uuid4().hex[:8]}",
        name="Any visit",
        dataset=dataset,
        criteria={"minimum_auc": 0.6},
    )


@pytest.fixture
def mlflow(mlflow_server: str, settings: Any) -> str:
    """The site talks to the real server."""
    settings.MLFLOW_TRACKING_URI = mlflow_server
    return mlflow_server


@pytest.fixture
def line(mlflow_server: str, settings: Any) -> Iterator[FaultProxy]:
    """The site talks to the real server through a line that can be broken."""
    proxy = FaultProxy(mlflow_server)
    settings.MLFLOW_TRACKING_URI = proxy.url
    yield proxy
    proxy.close()


@pytest.fixture
def mended(line: FaultProxy) -> Callable[[], None]:
    """Repairs the line, and lets the breaker forget."""

    def mend() -> None:
        line.heal()
        BreakerRecord.objects.all().delete()

    return mend


def perform(job: Job | None) -> Job:
    """Claim a job and run it here to the end of this attempt."""
    assert job is not None
    Job.objects.filter(pk=job.pk).update(run_after=job.created_at)
    claimed = runner.claim(job.pk)
    assert claimed is not None, "the job cannot be claimed"
    runner.execute(*claimed)
    job.refresh_from_db()
    return job
