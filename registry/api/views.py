"""/api/v1/ models, versions, promotions, policies."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import User
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from e2i_site.accounts.api import ReadViewSet, decided_by_person
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.actions.withdraw_promotion import withdraw_promotion
from registry.api.serializers import (
    ModelSerializer,
    PolicySerializer,
    PromotionRequestSerializer,
    PromotionSerializer,
    ReasonSerializer,
    ReviewRequestSerializer,
    VersionSerializer,
)
from registry.models import Promotion, PromotionPolicy, RegisteredModel, RegistryEntry


class ModelViewSet(ReadViewSet):
    queryset = RegisteredModel.objects.select_related("experiment").order_by("name")
    serializer_class = ModelSerializer
    lookup_field = "name"
    lookup_value_regex = r"[^/]+"
    filterset_fields = ["experiment__experiment_id", "policy_name", "deleted_in_mlflow"]
    ordering_fields = ["name", "created_at"]


class VersionViewSet(ReadViewSet):
    queryset = RegistryEntry.objects.select_related("experiment").order_by(
        "model", "-model_version"
    )
    serializer_class = VersionSerializer
    filterset_fields = ["model", "model_version", "stage", "algorithm", "mlflow_run_id"]
    ordering_fields = ["model", "model_version", "registered_at", "auc"]


class PolicyViewSet(ReadViewSet):
    queryset = PromotionPolicy.objects.order_by("name", "-version")
    serializer_class = PolicySerializer
    filterset_fields = ["name", "version"]
    ordering_fields = ["name", "version"]


class PromotionViewSet(ReadViewSet):
    queryset = (
        Promotion.objects.with_people()
        .prefetch_related("gates", "reviews__reviewer")
        .order_by("-id")
    )
    serializer_class = PromotionSerializer
    filterset_fields = ["state", "to_stage", "entry__model", "requester__username"]
    ordering_fields = ["id", "created_at", "decided_at"]

    @extend_schema(request=PromotionRequestSerializer, responses={201: PromotionSerializer})
    def create(self, request: Request) -> Response:
        """Ask for a promotion, as a CI job would."""
        asked = PromotionRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        data = asked.validated_data
        entry = get_object_or_404(
            RegistryEntry, model__name=data["model"], model_version=data["version"]
        )
        promotion = request_promotion(
            entry=entry,
            to_stage=data["to_stage"],
            reason=data["reason"],
            requester=cast(User, request.user),
        )
        return Response(self._shown(promotion), status=status.HTTP_201_CREATED)

    @extend_schema(request=ReviewRequestSerializer, responses={200: PromotionSerializer})
    @action(detail=True, methods=["post"])
    def review(self, request: Request, pk: str) -> Response:
        """Approve, reject, request changes or comment; people only."""
        decided_by_person(request).enforce()
        asked = ReviewRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        promotion = self.get_object()
        review_promotion(
            promotion=promotion, reviewer=cast(User, request.user), **asked.validated_data
        )
        return Response(self._shown(promotion))

    @extend_schema(request=ReasonSerializer, responses={200: PromotionSerializer})
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Take a request back."""
        asked = ReasonSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        promotion = self.get_object()
        withdraw_promotion(
            promotion=promotion, actor=cast(User, request.user), **asked.validated_data
        )
        return Response(self._shown(promotion))

    def _shown(self, promotion: Promotion) -> object:
        fresh = self.get_queryset().get(pk=promotion.pk)
        return self.get_serializer(fresh).data
