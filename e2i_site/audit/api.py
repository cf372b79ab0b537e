"""/api/v1/ audit-runs and findings."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from e2i_site.accounts.api import ReadViewSet
from e2i_site.audit.actions.start_audit import start_audit
from e2i_site.audit.models import AuditRun, Finding


class AuditRunSerializer(serializers.ModelSerializer[AuditRun]):
    seconds = serializers.FloatField(read_only=True)

    class Meta:
        model = AuditRun
        exclude = ("started_by", "beat_at")


class AuditRequestSerializer(serializers.Serializer[None]):
    phase = serializers.IntegerField(min_value=1, max_value=6, required=False)
    check_id = serializers.CharField(required=False)


class FindingSerializer(serializers.ModelSerializer[Finding]):
    class Meta:
        model = Finding
        fields = "__all__"


class AuditRunViewSet(ReadViewSet):
    queryset = AuditRun.objects.order_by("-id")
    serializer_class = AuditRunSerializer
    filterset_fields = ["status", "phase"]
    ordering_fields = ["id"]

    @extend_schema(request=AuditRequestSerializer, responses={201: AuditRunSerializer})
    def create(self, request: Request) -> Response:
        """Start an audit of everything, of one phase or of one check."""
        asked = AuditRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        run = start_audit(actor=cast(User, request.user), **asked.validated_data)
        return Response(self.get_serializer(run).data, status=status.HTTP_201_CREATED)


class FindingViewSet(ReadViewSet):
    queryset = Finding.objects.order_by("priority", "-opened_at")
    serializer_class = FindingSerializer
    filterset_fields = ["status", "priority", "check_id", "phase"]
    ordering_fields = ["priority", "opened_at", "last_seen"]
