"""The registry's tables as JSON, and what its calls take."""

from __future__ import annotations

from rest_framework import serializers

from registry.choices import ReviewDecision, Stage
from registry.models import (
    GateResult,
    Promotion,
    PromotionPolicy,
    RegisteredModel,
    RegistryEntry,
    Review,
)


class ModelSerializer(serializers.ModelSerializer[RegisteredModel]):
    experiment = serializers.SlugRelatedField[object](slug_field="experiment_id", read_only=True)

    class Meta:
        model = RegisteredModel
        fields = (
            "name",
            "description",
            "experiment",
            "policy_name",
            "aliases",
            "tags",
            "deleted_in_mlflow",
            "created_at",
            "synced_at",
        )


class VersionSerializer(serializers.ModelSerializer[RegistryEntry]):
    model_name = serializers.CharField(source="model_id", read_only=True)
    experiment = serializers.SlugRelatedField[object](slug_field="experiment_id", read_only=True)

    class Meta:
        model = RegistryEntry
        exclude = ("model", "trained_by")


class PolicySerializer(serializers.ModelSerializer[PromotionPolicy]):
    class Meta:
        model = PromotionPolicy
        exclude = ("published_by",)


class GateSerializer(serializers.ModelSerializer[GateResult]):
    class Meta:
        model = GateResult
        exclude = ("id", "promotion")


class ReviewSerializer(serializers.ModelSerializer[Review]):
    reviewer = serializers.CharField(source="reviewer.username", read_only=True)

    class Meta:
        model = Review
        exclude = ("promotion",)


class PromotionSerializer(serializers.ModelSerializer[Promotion]):
    model = serializers.CharField(source="entry.model_id", read_only=True)
    version = serializers.IntegerField(source="entry.model_version", read_only=True)
    requester = serializers.CharField(source="requester.username", read_only=True)
    policy = serializers.CharField(source="policy.__str__", read_only=True)
    gates = GateSerializer(many=True, read_only=True)
    reviews = ReviewSerializer(many=True, read_only=True)

    class Meta:
        model = Promotion
        fields = (
            "id",
            "model",
            "version",
            "from_stage",
            "to_stage",
            "requester",
            "reason",
            "state",
            "state_reason",
            "policy",
            "artifact_digest",
            "revision",
            "binding_hash",
            "gates",
            "reviews",
            "gates_evaluated_at",
            "created_at",
            "decided_at",
            "applied_at",
        )


class PromotionRequestSerializer(serializers.Serializer[None]):
    model = serializers.CharField()
    version = serializers.IntegerField(min_value=1)
    to_stage = serializers.ChoiceField(choices=Stage.choices)
    reason = serializers.CharField()


class ReviewRequestSerializer(serializers.Serializer[None]):
    decision = serializers.ChoiceField(choices=ReviewDecision.choices)
    reason = serializers.CharField()
    revision = serializers.IntegerField(
        min_value=1, help_text="Of the promotion as it was read; a newer one refuses the decision."
    )


class ReasonSerializer(serializers.Serializer[None]):
    reason = serializers.CharField()
