"""/api/v1/trail: who did what when."""

from __future__ import annotations

from rest_framework import serializers

from e2i_site.accounts.api import ReadViewSet
from e2i_site.trail.models import TrailEntry


class TrailSerializer(serializers.ModelSerializer[TrailEntry]):
    old = serializers.JSONField(read_only=True)
    new = serializers.JSONField(read_only=True)

    class Meta:
        model = TrailEntry
        exclude = ("changes", "actor")


class TrailViewSet(ReadViewSet):
    queryset = TrailEntry.objects.order_by("-id")
    serializer_class = TrailSerializer
    filterset_fields = {
        "event": ["exact"],
        "actor_name": ["exact"],
        "subject_type": ["exact"],
        "subject_id": ["exact"],
        "scope": ["exact"],
        "request_id": ["exact"],
        "at": ["gte", "lte"],
    }
    ordering_fields = ["id"]
