"""/api/v1/ experiments, selections, training-runs."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from e2i_site.accounts.api import ReadViewSet, asked, person
from e2i_site.core.cursor import CursorPages
from training.actions.create_experiment import create_experiment
from training.actions.request_selection import request_selection
from training.actions.request_training import request_training
from training.api.serializers import (
    ExperimentBody,
    ExperimentSerializer,
    SelectionBody,
    SelectionRowSerializer,
    SelectionSerializer,
    TrainingBody,
    TrainingRunRowSerializer,
    TrainingRunSerializer,
    find_dataset,
)
from training.filters import (
    ConditionsFilter,
    ExperimentFilter,
    MomentFilter,
    SearchFilter,
    SelectionFilter,
    TrainingRunFilter,
)
from training.models import Experiment, Selection, TrainingRun

CREATED = status.HTTP_201_CREATED


class ExperimentViewSet(ReadViewSet):
    """Modelling questions."""

    queryset = Experiment.objects.select_related("dataset").order_by("experiment_id")
    serializer_class = ExperimentSerializer
    lookup_field = "experiment_id"
    filterset_class = ExperimentFilter
    ordering_fields = ["experiment_id", "created_at"]

    @extend_schema(request=ExperimentBody, responses={201: ExperimentSerializer})
    def create(self, request: Request) -> Response:
        """Ask a modelling question on a data set, which fixes target and type of problem."""
        data = asked(ExperimentBody, request)
        dataset = find_dataset(data.pop("dataset"), data.pop("dataset_digest", ""))
        found = create_experiment(actor=person(request), dataset=dataset, **data)
        return self.shown(found.pk, CREATED)


class SelectionViewSet(ReadViewSet):
    """Runs of model_selector."""

    queryset = Selection.objects.select_related("experiment").order_by("-id")
    serializer_class = SelectionSerializer
    list_serializer_class = SelectionRowSerializer
    filterset_class = SelectionFilter
    ordering_fields = ["id", "started_at"]

    def get_queryset(self) -> QuerySet[Selection]:
        if self.action == "list":
            return super().get_queryset().defer("history", "rationale")
        return super().get_queryset().prefetch_related("candidates", "nodes")

    @extend_schema(request=SelectionBody, responses={201: SelectionSerializer})
    def create(self, request: Request) -> Response:
        """Have model_selector choose an algorithm; a job does it."""
        found = request_selection(actor=person(request), **asked(SelectionBody, request))
        return self.shown(found.pk, CREATED)


class RunFilter(TrainingRunFilter):
    """As on the page, and by MLflow's id and by time."""

    q = extend_schema_field(str)(SearchFilter(label="As in metric.auc>0.9 tag.team:churn"))
    metric = extend_schema_field(str)(ConditionsFilter(label="As in test_roc_auc>=0.8"))
    mlflow_run_id = django_filters.CharFilter()
    started_after = MomentFilter("started_at", "gte")
    started_before = MomentFilter("started_at", "lte")


class TrainingRunViewSet(ReadViewSet):
    """Runs of model_trainer, and those that others logged to MLflow.

    The list leaves out trials, candidates and what was deleted in MLflow, unless `q` asks for
    them, as in role:trial or deleted:yes; an address does not.
    """

    queryset = TrainingRun.objects.all()
    serializer_class = TrainingRunSerializer
    list_serializer_class = TrainingRunRowSerializer
    filterset_class = RunFilter
    pagination_class = CursorPages
    ordering_fields = ["id", "started_at", "duration_seconds"]

    def get_queryset(self) -> QuerySet[TrainingRun]:
        rows = TrainingRun.objects.select_related("experiment", "dataset").order_by("-id")
        if self.action == "list":
            return rows.defer("params", "metrics", "tags", "evaluation", "feature_names", "request")
        return rows.prefetch_related("nodes")

    @extend_schema(request=TrainingBody, responses={201: TrainingRunSerializer})
    def create(self, request: Request) -> Response:
        """Have model_trainer train a model; a job does it."""
        found = request_training(actor=person(request), **asked(TrainingBody, request))
        return self.shown(found.pk, CREATED)
