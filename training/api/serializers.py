"""Training's tables as JSON."""

from __future__ import annotations

from rest_framework import serializers

from training.models import Candidate, Experiment, PipelineNode, Selection, TrainingRun


class ExperimentSerializer(serializers.ModelSerializer[Experiment]):
    dataset = serializers.SlugRelatedField[object](slug_field="name", read_only=True)
    success_criteria = serializers.JSONField(read_only=True)

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
        exclude = ("selection",)


class SelectionSerializer(serializers.ModelSerializer[Selection]):
    experiment = serializers.SlugRelatedField[object](slug_field="experiment_id", read_only=True)
    candidates = CandidateSerializer(many=True, read_only=True)

    class Meta:
        model = Selection
        exclude = ("journal_id", "created_by")


class TrainingRunSerializer(serializers.ModelSerializer[TrainingRun]):
    experiment = serializers.SlugRelatedField[object](slug_field="experiment_id", read_only=True)
    dataset = serializers.SlugRelatedField[object](slug_field="name", read_only=True)

    class Meta:
        model = TrainingRun
        exclude = ("journal_id", "created_by", "evaluation", "params", "tags", "metrics")


class TrainingRunDetailSerializer(serializers.ModelSerializer[TrainingRun]):
    experiment = serializers.SlugRelatedField[object](slug_field="experiment_id", read_only=True)
    dataset = serializers.SlugRelatedField[object](slug_field="name", read_only=True)
    nodes = NodeSerializer(many=True, read_only=True)

    class Meta:
        model = TrainingRun
        exclude = ("journal_id", "created_by")
