"""Facts of a training run, stored while the pipeline finds them."""

from __future__ import annotations

import math
from typing import Any

from django.db import transaction
from django.utils import timezone

from training import metrics
from training.choices import TrialState
from training.models import (
    DataQualityReport,
    RunMetric,
    SplitDefinition,
    Study,
    TrainingRun,
    Trial,
)
from training.pipeline.data import Dataset
from training.pipeline.trainer.hpo import TrialFact, Tuning
from training.pipeline.trainer.state import Evaluation, TrainingRequest, TrainingResult
from training.pipeline.types import PRIMARY_METRIC, Split


class TrainingRecord:
    """Hears results and trials of one training run and stores what is new in them."""

    def __init__(self, run: TrainingRun, data: Dataset, request: TrainingRequest) -> None:
        self._run = run
        self._data = data
        self._request = request
        self._stored = TrainingResult(data.problem)

    @transaction.atomic
    def store(self, result: TrainingResult) -> None:
        """Store the fields that were not known before."""
        run, before = self._run, self._stored
        changed: dict[str, Any] = {}
        if result.quality is not None and before.quality is None:
            self._store_quality(result)
        if result.splits is not None and before.splits is None:
            changed |= self._store_splits(result)
        if result.tuning is not None and before.tuning is None:
            changed |= self._store_tuning(result.tuning)
        if result.trained is not None and before.trained is None:
            changed["framework"] = result.trained.framework
            changed["hyperparameters"] = dict(result.trained.hyperparameters)
        if result.evaluation is not None and before.evaluation is None:
            changed |= _evaluation(result.evaluation)
        if result.checkpoint is not None and before.checkpoint is None:
            changed["model_digest"] = result.checkpoint.digest
        if changed:
            for name, value in changed.items():
                setattr(run, name, value)
            run.save(update_fields=list(changed))
            self._index_metrics()
        self._stored = result

    def _index_metrics(self) -> None:
        """Let the run be found by its metrics before MLflow has them and the mirror reads them."""
        RunMetric.objects.bulk_create(
            (
                RunMetric(run=self._run, key=key, value=value)
                for key, value in metrics.values(self._run).items()
                if not math.isnan(value)
            ),
            update_conflicts=True,
            unique_fields=["run", "key"],
            update_fields=["value"],
        )

    def _store_quality(self, result: TrainingResult) -> None:
        quality = result.quality
        assert quality is not None
        DataQualityReport.objects.update_or_create(
            training_run=self._run,
            defaults={
                "score": quality.score,
                "dimensions": {name: d.as_dict() for name, d in quality.dimensions.items()},
                "blocking": list(quality.blocking),
                "warnings": list(quality.warnings),
                "passed": quality.passed,
            },
        )

    def _store_splits(self, result: TrainingResult) -> dict[str, Any]:
        splits = result.splits
        assert splits is not None
        SplitDefinition.objects.update_or_create(
            training_run=self._run,
            defaults={
                "strategy": splits.strategy.value,
                "seed": splits.seed,
                "group_columns": list(self._data.group_columns),
                "sizes": splits.sizes,
                "digests": splits.digests,
            },
        )
        sizes = splits.sizes
        return {
            "feature_names": list(self._data.features),
            "training_samples": sizes[Split.TRAIN],
            "validation_samples": sizes[Split.VALIDATION],
            "test_samples": sizes[Split.TEST],
            "holdout_samples": sizes[Split.HOLDOUT],
        }

    def _store_tuning(self, tuning: Tuning) -> dict[str, Any]:
        if not tuning.study_name:
            return {"optuna_study_name": "", "optuna_trial_number": None, "is_best_trial": None}
        study = self._study(tuning.study_name)
        Study.objects.filter(pk=study.pk).update(warm_started_from=tuning.warm_started_from)
        for fact in tuning.trials:
            self._store_trial(study, fact)
        complete = [fact for fact in tuning.trials if fact.value is not None]
        best = max(complete, key=lambda fact: fact.value or 0.0, default=None)
        own = Trial.objects.filter(training_run=self._run)
        own.filter(is_best=True).update(is_best=False)
        if best is not None:
            own.filter(study=study, number=best.number).update(is_best=True)
        return {
            "optuna_study_name": tuning.study_name,
            "optuna_trial_number": tuning.best_trial,
            "is_best_trial": True,
        }

    def store_trial(self, fact: TrialFact) -> None:
        """Store a trial as soon as it is finished."""
        with transaction.atomic():
            self._store_trial(self._study(fact.study_name), fact)

    def _store_trial(self, study: Study, fact: TrialFact) -> None:
        Trial.objects.update_or_create(
            study=study,
            number=fact.number,
            defaults={
                "training_run": self._run,
                "state": TrialState(fact.state),
                "value": fact.value,
                "params": dict(fact.params),
                "intermediate": {str(step): value for step, value in fact.intermediate.items()},
                "error": fact.error,
                "seconds": fact.seconds,
            },
        )

    def _study(self, name: str) -> Study:
        study, _ = Study.objects.get_or_create(
            name=name,
            defaults={
                "experiment_id": self._request.experiment_id,
                "algorithm": self._request.algorithm,
                "problem_type": self._data.problem.value,
                "metric": PRIMARY_METRIC[self._data.problem],
                "direction": "maximize",
                "rows": len(self._data),
                "features": len(self._data.features),
            },
        )
        return study


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    metrics = evaluation.metrics
    return {
        "train_metrics": dict(metrics[Split.TRAIN]),
        "validation_metrics": dict(metrics[Split.VALIDATION]),
        "test_metrics": dict(metrics[Split.TEST]),
        "evaluation": dict(evaluation.as_dict()),
        "primary_metric": evaluation.primary_metric,
        "threshold": evaluation.threshold,
    }


def forget_attempt(run: TrainingRun) -> None:
    """Take back what an earlier attempt had stored; its trials stay, as facts of the study."""
    DataQualityReport.objects.filter(training_run=run).delete()
    SplitDefinition.objects.filter(training_run=run).delete()
    run.train_metrics, run.validation_metrics, run.test_metrics = {}, {}, {}
    run.evaluation = {}
    run.threshold = None
    run.model_digest = run.model_artifact_uri = run.preprocessing_artifact_uri = ""
    run.mlflow_run_id = None
    run.mlflow_experiment = None
    run.mlflow_available = False
    run.error_message = ""
    run.completed_at = run.duration_seconds = None
    run.started_at = timezone.now()
