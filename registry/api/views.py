"""/api/v1/ models, versions, promotions, policies."""

from __future__ import annotations

import django_filters
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from e2i_site.accounts.api import ReadViewSet, asked, decided_by_person, person
from e2i_site.core.bodies import ReasonBody
from e2i_site.core.cursor import CursorPages
from e2i_site.core.errors import InvalidInput
from e2i_site.core.moments import past_moment
from registry.actions.deprecate_version import deprecate_version
from registry.actions.publish_policy import publish_in_person
from registry.actions.request_promotion import request_promotion
from registry.actions.review_promotion import review_promotion
from registry.actions.withdraw_promotion import resubmit_promotion, withdraw_promotion
from registry.api.serializers import (
    ModelSerializer,
    PolicyBody,
    PolicySerializer,
    PromotionBody,
    PromotionRowSerializer,
    PromotionSerializer,
    ReplayBody,
    ReplaySerializer,
    ReviewBody,
    SignedBody,
    VersionSerializer,
)
from registry.api.stages import AT, StagesSerializer
from registry.document.read import read
from registry.filters import EntryFilter, ModelFilter, ModelSearchFilter, PromotionFilter
from registry.history import stages_at
from registry.models import GateResult, Promotion, PromotionPolicy, RegisteredModel, RegistryEntry
from registry.policies import may_replay
from registry.replay.run import proposed_policy, replay


class RegisteredModelFilter(ModelFilter):
    """As on the page."""

    q = extend_schema_field(str)(
        ModelSearchFilter(label="As in stage:production metric.auc>0.8 drift:yes")
    )


class ModelViewSet(ReadViewSet):
    """Registered models."""

    queryset = RegisteredModel.objects.select_related("experiment").order_by("name")
    serializer_class = ModelSerializer
    lookup_field = "name"
    lookup_value_regex = r"[^/]+"
    filterset_class = RegisteredModelFilter
    pagination_class = CursorPages
    ordering_fields = ["name", "created_at"]

    @extend_schema(parameters=[AT], responses={200: StagesSerializer})
    @action(detail=True, methods=["get"])
    def stages(self, request: Request, name: str) -> Response:
        """Which version was in which stage at a moment, who allowed it, and what served."""
        model, at = self.get_object(), request.query_params.get("at")
        moment = timezone.now() if at is None else past_moment(at)
        return Response(StagesSerializer(stages_at(moment, model.name)).data)


class VersionFilter(EntryFilter):
    """As on the page, and by the run that made it."""

    mlflow_run_id = django_filters.CharFilter()


class VersionViewSet(ReadViewSet):
    """Versions of models, and the stage each is in."""

    queryset = RegistryEntry.objects.select_related("experiment").order_by(
        "model", "-model_version"
    )
    serializer_class = VersionSerializer
    filterset_class = VersionFilter
    pagination_class = CursorPages
    ordering_fields = ["model", "model_version", "registered_at", "auc"]

    @extend_schema(request=SignedBody, responses={200: VersionSerializer})
    @action(detail=True, methods=["post"])
    def deprecate(self, request: Request, pk: str) -> Response:
        """Take a version out of use for good; people only."""
        decided_by_person(request).enforce()
        entry, data = self.get_object(), asked(SignedBody, request)
        deprecate_version(entry=entry, actor=person(request), **data)
        return self.shown(entry.pk)


class PolicyFilter(django_filters.FilterSet):
    """Policies by name and version."""

    name = django_filters.CharFilter()
    version = django_filters.NumberFilter(min_value=1)

    class Meta:
        model = PromotionPolicy
        fields: list[str] = []


class PolicyViewSet(ReadViewSet):
    """What a version must show, and whose approval it needs."""

    queryset = PromotionPolicy.objects.order_by("name", "-version")
    serializer_class = PolicySerializer
    filterset_class = PolicyFilter
    ordering_fields = ["name", "version"]

    @extend_schema(request=PolicyBody, responses={201: PolicySerializer})
    def create(self, request: Request) -> Response:
        """Publish a document as a new version; administrators in person only."""
        decided_by_person(request).enforce()
        policy = publish_in_person(actor=person(request), **asked(PolicyBody, request))
        return self.shown(policy.pk, status.HTTP_201_CREATED)

    @extend_schema(request=ReplayBody, responses={200: ReplaySerializer})
    @action(detail=False, methods=["post"])
    def replay(self, request: Request) -> Response:
        """Which past decisions a proposed policy would change; it changes nothing itself."""
        may_replay(person(request)).enforce()
        data = asked(ReplayBody, request)
        proposed = proposed_policy(read(data["source"]))
        return Response(replay(proposed, data["since"]).to_json())


class PromotionViewSet(ReadViewSet):
    """Requests to move a version to a stage; the list has each gate in one word."""

    queryset = Promotion.objects.with_people().order_by("-id")
    serializer_class = PromotionSerializer
    list_serializer_class = PromotionRowSerializer
    filterset_class = PromotionFilter
    ordering_fields = ["id", "created_at", "decided_at"]

    def get_queryset(self) -> QuerySet[Promotion]:
        if self.action == "list":
            marks = GateResult.objects.only("promotion", "position", "gate_id", "outcome")
            return super().get_queryset().prefetch_related(Prefetch("gates", marks))
        return super().get_queryset().prefetch_related("gates", "reviews__reviewer")

    @extend_schema(request=PromotionBody, responses={201: PromotionSerializer})
    def create(self, request: Request) -> Response:
        """Ask for a promotion, as a CI job would."""
        data = asked(PromotionBody, request)
        entry = _entry(data.pop("model"), data.pop("version"))
        promotion = request_promotion(entry=entry, requester=person(request), **data)
        return self.shown(promotion.pk, status.HTTP_201_CREATED)

    @extend_schema(request=ReviewBody, responses={200: PromotionSerializer})
    @action(detail=True, methods=["post"])
    def review(self, request: Request, pk: str) -> Response:
        """Approve, reject, request changes or comment; people only."""
        decided_by_person(request).enforce()
        promotion, data = self.get_object(), asked(ReviewBody, request)
        review_promotion(promotion=promotion, reviewer=person(request), **data)
        return self.shown(promotion.pk)

    @extend_schema(request=ReasonBody, responses={200: PromotionSerializer})
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Take a request back."""
        promotion, data = self.get_object(), asked(ReasonBody, request)
        withdraw_promotion(promotion=promotion, actor=person(request), **data)
        return self.shown(promotion.pk)

    @extend_schema(request=ReasonBody, responses={200: PromotionSerializer})
    @action(detail=True, methods=["post"])
    def resubmit(self, request: Request, pk: str) -> Response:
        """Answer a reviewer who requested changes, so that it can be decided again."""
        promotion, data = self.get_object(), asked(ReasonBody, request)
        resubmit_promotion(promotion=promotion, actor=person(request), **data)
        return self.shown(promotion.pk)


def _entry(model: str, version: int) -> RegistryEntry:
    found = RegistryEntry.objects.filter(model__name=model, model_version=version).first()
    if found is None:
        raise InvalidInput(f"{model} v{version} is not known here.", field="version")
    return found
