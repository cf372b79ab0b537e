"""Stages at a moment as JSON."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import serializers

from registry.choices import StageCause
from registry.history import Place, Snapshot
from registry.models import GateResult, Review
from registry.rollouts import Served

AT = OpenApiParameter(
    "at",
    OpenApiTypes.STR,
    description="A moment up to now, UTC unless it has a zone; without it, now.",
    examples=[
        OpenApiExample("a minute", value="2026-11-01T12:00Z"),
        OpenApiExample("the beginning of a day", value="2026-11-01"),
        OpenApiExample("another zone", value="2026-11-01T13:00+01:00"),
    ],
)


class ApprovalSerializer(serializers.ModelSerializer[Review]):
    reviewer = serializers.CharField(source="reviewer.username")

    class Meta:
        model = Review
        fields = ("reviewer", "signer_name", "signed_at", "binding_hash", "signature_hash")


class GateMarkSerializer(serializers.ModelSerializer[GateResult]):
    class Meta:
        model = GateResult
        fields = ("gate_id", "outcome", "dry_run")


class EvidenceSerializer(serializers.Serializer["Place"]):
    """The promotion that brought it there, who signed, and what its gates said."""

    id = serializers.IntegerField(source="promotion.pk")
    requester = serializers.CharField(source="promotion.requester.username")
    requested_at = serializers.DateTimeField(source="promotion.created_at")
    reason = serializers.CharField(source="promotion.reason")
    policy = serializers.CharField(source="promotion.policy.__str__")
    artifact_digest = serializers.CharField(source="promotion.artifact_digest")
    binding_hash = serializers.CharField(source="promotion.binding_hash")
    past_gates = serializers.BooleanField(source="promotion.past_gates")
    break_glass_by = serializers.CharField(
        source="promotion.break_glass.signer_name", allow_null=True, default=None
    )
    approvals = ApprovalSerializer(many=True)
    gates = GateMarkSerializer(many=True)


class PlaceSerializer(serializers.Serializer[Place]):
    """Where one version was, since when, and by which decision."""

    model = serializers.CharField(source="entry.model_id")
    version = serializers.IntegerField(source="entry.model_version")
    stage = serializers.CharField()
    since = serializers.DateTimeField(source="change.at")
    cause = serializers.ChoiceField(source="change.cause", choices=StageCause.choices)
    actor = serializers.CharField(source="change.actor.username", allow_null=True, default=None)
    reason = serializers.CharField(source="change.reason")
    promotion = EvidenceSerializer(source="evidence", allow_null=True)


class ServedSerializer(serializers.Serializer[Served]):
    """A deployment that answered, or shadowed."""

    model = serializers.CharField()
    version = serializers.IntegerField()
    deployment = serializers.IntegerField()
    endpoint = serializers.CharField()
    environment = serializers.CharField()
    strategy = serializers.CharField()
    digest = serializers.CharField()
    since = serializers.DateTimeField()


class StagesSerializer(serializers.Serializer[Snapshot]):
    """Every version known at the moment, newest first, and what served then."""

    at = serializers.DateTimeField(source="moment")
    versions = PlaceSerializer(source="places", many=True)
    serving = ServedSerializer(many=True)
