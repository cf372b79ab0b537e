from __future__ import annotations

import optuna
import pytest

from training.pipeline.trainer.hpo import open_storage
from training.study_storage import storage_url


@pytest.mark.django_db(transaction=True)
def test_studies_are_kept_beside_our_own_tables() -> None:
    storage = open_storage(storage_url())
    made = optuna.create_study(study_name="beside", storage=storage, load_if_exists=True)
    made.enqueue_trial({"x": 1.0})
    made.optimize(lambda trial: trial.suggest_float("x", 0, 2), n_trials=1)
    again = optuna.load_study(study_name="beside", storage=open_storage(storage_url()))
    assert again.best_params == {"x": 1.0}
    optuna.delete_study(study_name="beside", storage=storage)
