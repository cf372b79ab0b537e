"""/api/v1/ audit-runs and findings."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from e2i_site.accounts.api import ReadViewSet, decided_by_person
from e2i_site.audit.actions.start_audit import start_audit
from e2i_site.audit.actions.waive import revoke_waiver, waive
from e2i_site.audit.filters import AuditRunFilter, FindingFilter
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


class WaiverRequestSerializer(serializers.Serializer[None]):
    owner = serializers.SlugRelatedField[User](
        slug_field="username", queryset=User.objects.filter(is_active=True)
    )
    reason = serializers.CharField()
    expires_at = serializers.DateTimeField()


class RevokeRequestSerializer(serializers.Serializer[None]):
    reason = serializers.CharField()


class AuditRunViewSet(ReadViewSet):
    queryset = AuditRun.objects.order_by("-id")
    serializer_class = AuditRunSerializer
    filterset_class = AuditRunFilter
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
    filterset_class = FindingFilter
    ordering_fields = ["priority", "opened_at", "last_seen"]

    @extend_schema(request=WaiverRequestSerializer, responses={200: FindingSerializer})
    @action(detail=True, methods=["post"])
    def waive(self, request: Request, pk: str) -> Response:
        """Let a finding stand until a day; a person decides it, never a token."""
        decided_by_person(request).enforce()
        asked = WaiverRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        waive(finding=self.get_object(), actor=cast(User, request.user), **asked.validated_data)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=RevokeRequestSerializer, responses={200: FindingSerializer})
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """End the waiver in force."""
        decided_by_person(request).enforce()
        asked = RevokeRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        reason = asked.validated_data["reason"]
        revoke_waiver(finding=self.get_object(), actor=cast(User, request.user), reason=reason)
        return Response(self.get_serializer(self.get_object()).data)
