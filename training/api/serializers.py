"""Training's tables as JSON, and what its calls take."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from e2i_site.core.bodies import Body
from e2i_site.core.errors import InvalidInput
from training.models import Candidate, Dataset, Experiment, PipelineNode, Selection, TrainingRun

EXPERIMENT_ID = "experiment.experiment_id"


class ExperimentSerializer(serializers.ModelSerializer[Experiment]):
    dataset = serializers.CharField(source="dataset.name", read_only=True)
    dataset_digest = serializers.CharField(source="dataset.digest", read_only=True)
    success_criteria = serializers.DictField(
        read_only=True, help_text="{criterion: {metric, direction, limit}}"
    )

    class Meta:
        model = Experiment
        fields = (
            "id",
            "experiment_id",
            "name",
            "description",
            "prediction_target",
            "problem_type",
            "target_population",
            "observation_window_days",
            "prediction_horizon_days",
            "dataset",
            "dataset_digest",
            "success_criteria",
            "created_at",
            "updated_at",
        )


class NodeSerializer(serializers.ModelSerializer[PipelineNode]):
    class Meta:
        model = PipelineNode
        fields = ("attempt", "position", "name", "outcome", "error", "started_at", "ended_at")


class CandidateSerializer(serializers.ModelSerializer[Candidate]):
    class Meta:
        model = Candidate
        exclude = ("id", "selection")


class SelectionRowSerializer(serializers.ModelSerializer[Selection]):
    experiment = serializers.CharField(source=EXPERIMENT_ID, read_only=True)

    class Meta:
        model = Selection
        fields: tuple[str, ...] = (
            "id",
            "experiment",
            "status",
            "selected_algorithm",
            "metric",
            "constraints",
            "mlflow_run_id",
            "mlflow_experiment_id",
            "mlflow_available",
            "error_message",
            "job",
            "created_at",
            "started_at",
            "completed_at",
        )


class SelectionSerializer(SelectionRowSerializer):
    candidates = CandidateSerializer(many=True, read_only=True)
    nodes = NodeSerializer(many=True, read_only=True)

    class Meta(SelectionRowSerializer.Meta):
        fields = (
            *SelectionRowSerializer.Meta.fields,
            "history",
            "rationale",
            "candidates",
            "nodes",
        )


class TrainingRunRowSerializer(serializers.ModelSerializer[TrainingRun]):
    experiment = serializers.CharField(source=EXPERIMENT_ID, read_only=True, allow_null=True)
    dataset = serializers.CharField(source="dataset.name", read_only=True, allow_null=True)
    mlflow_experiment_id = serializers.CharField(read_only=True, allow_null=True)

    class Meta:
        model = TrainingRun
        fields: tuple[str, ...] = (
            "id",
            "experiment",
            "dataset",
            "selection",
            "registry_entry",
            "run_name",
            "source",
            "role",
            "status",
            "error_message",
            "mlflow_run_id",
            "mlflow_experiment_id",
            "mlflow_available",
            "deleted_in_mlflow",
            "algorithm",
            "framework",
            "hyperparameters",
            "training_samples",
            "validation_samples",
            "test_samples",
            "holdout_samples",
            "primary_metric",
            "train_metrics",
            "validation_metrics",
            "test_metrics",
            "threshold",
            "model_digest",
            "compute_type",
            "job",
            "created_at",
            "started_at",
            "completed_at",
            "duration_seconds",
        )


class TrainingRunSerializer(TrainingRunRowSerializer):
    nodes = NodeSerializer(many=True, read_only=True)

    class Meta(TrainingRunRowSerializer.Meta):
        fields = (
            *TrainingRunRowSerializer.Meta.fields,
            "parent",
            "user_name",
            "params",
            "metrics",
            "tags",
            "feature_names",
            "evaluation",
            "model_artifact_uri",
            "preprocessing_artifact_uri",
            "optuna_study_name",
            "optuna_trial_number",
            "is_best_trial",
            "request",
            "attempt",
            "nodes",
        )


class ExperimentField(serializers.CharField):
    """An experiment by its id."""

    def to_internal_value(self, data: Any) -> Any:
        key = super().to_internal_value(data)
        self.run_validators(key)  # before the database is asked, which takes no NUL
        found = Experiment.objects.select_related("dataset").filter(experiment_id=key).first()
        if found is None:
            raise serializers.ValidationError(f"There is no experiment {key!r}.")
        return found


class ExperimentBody(Body):
    experiment_id = serializers.CharField()
    name = serializers.CharField()
    dataset = serializers.CharField(help_text="Name of a data set; its newest bytes are meant.")
    dataset_digest = serializers.CharField(
        required=False, help_text="SHA-256, when older bytes of that name are meant."
    )
    description = serializers.CharField(required=False, allow_blank=True)
    prediction_target = serializers.CharField(required=False, allow_blank=True)
    target_population = serializers.CharField(required=False, allow_blank=True)
    observation_window_days = serializers.IntegerField(required=False, allow_null=True)
    prediction_horizon_days = serializers.IntegerField(required=False, allow_null=True)
    criteria = serializers.DictField(
        child=serializers.FloatField(), required=False, help_text='As in {"minimum_auc": 0.7}.'
    )


def find_dataset(name: str, digest: str = "") -> Dataset:
    """The newest data set of that name, or the one with that digest. Raises `InvalidInput`."""
    found = Dataset.objects.filter(name=name)
    dataset = (found.filter(digest=digest) if digest else found).order_by("-id").first()
    if dataset is None:
        which = f" with the digest {digest}" if digest else ""
        raise InvalidInput(f"There is no data set {name!r}{which}.", field="dataset")
    return dataset


class ConstraintsBody(Body):
    max_latency_ms = serializers.FloatField(required=False, allow_null=True)
    max_memory_gb = serializers.FloatField(required=False, allow_null=True)
    minimum_interpretability = serializers.FloatField(required=False, allow_null=True)
    exclude = serializers.ListField(child=serializers.CharField(), required=False)
    preferred = serializers.ListField(child=serializers.CharField(), required=False)
    causal_required = serializers.BooleanField(required=False)


class SelectionBody(Body):
    experiment = ExperimentField()
    constraints = ConstraintsBody(required=False)
    top = serializers.IntegerField(required=False, help_text="Candidates to benchmark.")
    folds = serializers.IntegerField(required=False)


class TrainingBody(Body):
    experiment = ExperimentField()
    algorithm = serializers.CharField(
        required=False, allow_blank=True, help_text="Else the one that was selected."
    )
    trials = serializers.IntegerField(required=False)
    timeout_seconds = serializers.FloatField(required=False)
    folds = serializers.IntegerField(required=False)
    balancing = serializers.CharField(
        required=False, allow_blank=True, help_text="Else the data decides."
    )
    seed = serializers.IntegerField(required=False)
