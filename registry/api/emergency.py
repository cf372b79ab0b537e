"""Break-glass as JSON: who, why, what was bypassed, and what others said."""

from __future__ import annotations

from rest_framework import serializers

from registry.models import BreakGlass, BreakGlassReview


class BreakGlassReviewSerializer(serializers.ModelSerializer[BreakGlassReview]):
    reviewer = serializers.CharField(source="reviewer.username", read_only=True)

    class Meta:
        model = BreakGlassReview
        fields = ("reviewer", "signer_name", "accepted", "reason", "at", "signature_hash")


class BreakGlassSerializer(serializers.ModelSerializer[BreakGlass]):
    actor = serializers.CharField(source="actor.username", read_only=True)
    closed = serializers.BooleanField(source="is_closed", read_only=True)
    reviews = BreakGlassReviewSerializer(many=True, read_only=True)

    class Meta:
        model = BreakGlass
        fields = (
            "actor",
            "signer_name",
            "reason",
            "at",
            "bypassed",
            "signature_hash",
            "reviews",
            "closed",
        )
