"""/api/v1/ experiments, selections, training-runs."""

from __future__ import annotations

from typing import Any

from rest_framework.serializers import BaseSerializer

from e2i_site.accounts.api import ReadViewSet
from training.api.serializers import (
    ExperimentSerializer,
    SelectionSerializer,
    TrainingRunDetailSerializer,
    TrainingRunSerializer,
)
from training.models import Experiment, Selection, TrainingRun


class ExperimentViewSet(ReadViewSet):
    queryset = Experiment.objects.select_related("dataset").order_by("experiment_id")
    serializer_class = ExperimentSerializer
    lookup_field = "experiment_id"
    filterset_fields = ["problem_type", "dataset__name"]
    ordering_fields = ["experiment_id", "created_at"]


class SelectionViewSet(ReadViewSet):
    queryset = (
        Selection.objects.select_related("experiment")
        .prefetch_related("candidates")
        .order_by("-id")
    )
    serializer_class = SelectionSerializer
    filterset_fields = ["experiment__experiment_id", "status", "selected_algorithm"]
    ordering_fields = ["id", "started_at"]


class TrainingRunViewSet(ReadViewSet):
    queryset = (
        TrainingRun.objects.for_people().select_related("experiment", "dataset").order_by("-id")
    )
    filterset_fields = {
        "experiment__experiment_id": ["exact"],
        "algorithm": ["exact"],
        "status": ["exact"],
        "source": ["exact"],
        "mlflow_run_id": ["exact"],
        "mlflow_available": ["exact"],
        "started_at": ["gte", "lte"],
    }
    ordering_fields = ["id", "started_at", "duration_seconds"]

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return TrainingRunDetailSerializer if self.detail else TrainingRunSerializer
