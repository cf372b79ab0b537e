"""The registry's tables as JSON, and what its calls take."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from e2i_site.core.bodies import Body
from registry.api.emergency import BreakGlassSerializer
from registry.choices import ReviewDecision, Stage
from registry.models import (
    GateResult,
    Promotion,
    PromotionPolicy,
    RegisteredModel,
    RegistryEntry,
    Review,
)
from registry.replay.judge import Result

EXPERIMENT_ID = "experiment.experiment_id"


class ModelSerializer(serializers.ModelSerializer[RegisteredModel]):
    experiment = serializers.CharField(source=EXPERIMENT_ID, read_only=True, allow_null=True)

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
            "hidden_since",
            "created_at",
            "synced_at",
        )


class VersionSerializer(serializers.ModelSerializer[RegistryEntry]):
    model_name = serializers.CharField(source="model_id", read_only=True)
    experiment = serializers.CharField(source=EXPERIMENT_ID, read_only=True, allow_null=True)

    class Meta:
        model = RegistryEntry
        exclude = ("model", "trained_by", "registered_by")


class PolicySerializer(serializers.ModelSerializer[PromotionPolicy]):
    class Meta:
        model = PromotionPolicy
        fields = (
            "id",
            "name",
            "version",
            "description",
            "notice",
            "model_patterns",
            "stages",
            "source",
            "reason",
            "published_at",
        )


class MarkSerializer(serializers.ModelSerializer[GateResult]):
    """A gate in one word."""

    class Meta:
        model = GateResult
        fields = ("gate_id", "outcome")


class GateSerializer(serializers.ModelSerializer[GateResult]):
    class Meta:
        model = GateResult
        exclude = ("id", "promotion")


class ReviewSerializer(serializers.ModelSerializer[Review]):
    reviewer = serializers.CharField(source="reviewer.username", read_only=True)

    class Meta:
        model = Review
        exclude = ("promotion",)


class PromotionRowSerializer(serializers.ModelSerializer[Promotion]):
    model = serializers.CharField(source="entry.model_id", read_only=True)
    version = serializers.IntegerField(source="entry.model_version", read_only=True)
    requester = serializers.CharField(source="requester.username", read_only=True)
    policy = serializers.CharField(source="policy.__str__", read_only=True)
    gates: serializers.BaseSerializer[Any] = MarkSerializer(many=True, read_only=True)

    class Meta:
        model = Promotion
        fields: tuple[str, ...] = (
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
            "past_gates",
            "gates_evaluated_at",
            "created_at",
            "decided_at",
            "applied_at",
            "carried_at",
        )


class PromotionSerializer(PromotionRowSerializer):
    gates = GateSerializer(many=True, read_only=True)
    reviews = ReviewSerializer(many=True, read_only=True)
    break_glass = BreakGlassSerializer(read_only=True, allow_null=True)

    class Meta(PromotionRowSerializer.Meta):
        fields = (*PromotionRowSerializer.Meta.fields, "reviews", "break_glass")


class PromotionBody(Body):
    model = serializers.CharField()
    version = serializers.IntegerField()
    to_stage = serializers.ChoiceField(choices=Stage.choices)
    reason = serializers.CharField(allow_blank=True, help_text="It goes on record.")


class SignedBody(Body):
    reason = serializers.CharField(allow_blank=True, help_text="It goes on record.")
    password = serializers.CharField(
        default="",
        trim_whitespace=False,
        allow_blank=True,
        write_only=True,
        help_text="Of whoever acts; it signs.",
    )


class PolicyBody(Body):
    source = serializers.CharField(  # type: ignore[assignment]
        trim_whitespace=False, allow_blank=True, help_text="The document, as YAML."
    )
    reason = serializers.CharField(allow_blank=True, help_text="It goes on record.")
    seen = serializers.IntegerField(
        min_value=0, help_text="The newest version as it was read; 0 for a new policy."
    )
    password = serializers.CharField(
        trim_whitespace=False, allow_blank=True, write_only=True, help_text="Of whoever publishes."
    )


class ReplayBody(Body):
    source = serializers.CharField(  # type: ignore[assignment]
        trim_whitespace=False, allow_blank=True, help_text="The proposed document, as YAML."
    )
    since = serializers.DateTimeField(
        default=None, allow_null=True, help_text="Only what was decided at this time or later."
    )


class ReplayReasonSerializer(serializers.Serializer[Any]):
    rule = serializers.CharField()
    sentence = serializers.CharField()


class DifferingSerializer(serializers.Serializer[Any]):
    promotion = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]
    state = serializers.CharField()
    decided_at = serializers.DateTimeField(allow_null=True)
    result = serializers.ChoiceField(choices=[str(each) for each in Result])
    reasons = ReplayReasonSerializer(many=True)


class ReplaySerializer(serializers.Serializer[Any]):
    """What would have come of past promotions; `differing` are the newest that differ."""

    models = serializers.IntegerField()
    promotions = serializers.IntegerField()
    counts = serializers.DictField(child=serializers.IntegerField())
    left_out = serializers.IntegerField()
    differing = DifferingSerializer(many=True)


class ReviewBody(Body):
    decision = serializers.ChoiceField(choices=ReviewDecision.choices)
    reason = serializers.CharField(allow_blank=True, help_text="It goes on record.")
    revision = serializers.IntegerField(
        help_text="Of the promotion as it was read; a newer one refuses the decision."
    )
    password = serializers.CharField(
        default="",
        trim_whitespace=False,
        allow_blank=True,
        write_only=True,
        help_text="Of whoever decides; it signs the decision. A comment needs none.",
    )
