"""Deployments' tables as JSON."""

from __future__ import annotations

from rest_framework import serializers

from deployments.models import Canary, Deployment, ShadowWindow


class CanarySerializer(serializers.ModelSerializer[Canary]):
    class Meta:
        model = Canary
        fields = (
            "state",
            "limits",
            "step",
            "step_began_at",
            "measured",
            "pause_reason",
            "began_at",
            "ended_at",
        )


class DeploymentSerializer(serializers.ModelSerializer[Deployment]):
    model = serializers.CharField(source="entry.model_id", read_only=True)
    version = serializers.IntegerField(source="entry.model_version", read_only=True)
    past_gates = serializers.BooleanField(source="entry.past_gates", read_only=True)
    deployed_by = serializers.CharField(
        source="deployed_by.username", read_only=True, allow_null=True
    )
    canary = CanarySerializer(read_only=True, allow_null=True, default=None)

    class Meta:
        model = Deployment
        exclude = ("entry",)


class ShadowWindowSerializer(serializers.ModelSerializer[ShadowWindow]):
    model = serializers.CharField(source="entry.model_id", read_only=True)
    version = serializers.IntegerField(source="entry.model_version", read_only=True)
    policy = serializers.CharField(source="policy.__str__", read_only=True)

    class Meta:
        model = ShadowWindow
        exclude = ("entry",)
