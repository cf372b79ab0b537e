"""/api/v1/trail: who did what when."""

from __future__ import annotations

from rest_framework import serializers

from e2i_site.accounts.api import ReadViewSet
from e2i_site.trail.filters import TrailFilter
from e2i_site.trail.models import TrailEntry


class TrailSerializer(serializers.ModelSerializer[TrailEntry]):
    old = serializers.DictField(read_only=True)
    new = serializers.DictField(read_only=True)

    class Meta:
        model = TrailEntry
        exclude = ("changes", "actor")


class TrailViewSet(ReadViewSet):
    """Who did what when, and why."""

    queryset = TrailEntry.objects.order_by("-id")
    serializer_class = TrailSerializer
    filterset_class = TrailFilter
    ordering_fields = ["id"]
