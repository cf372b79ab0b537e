"""/api/v1/ audit-runs and findings."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from e2i_site.accounts.api import ReadViewSet, asked, decided_by_person, person
from e2i_site.audit.actions.start_audit import start_audit
from e2i_site.audit.actions.waive import revoke_waiver, waive
from e2i_site.audit.choices import FindingStatus
from e2i_site.audit.filters import AuditRunFilter, FindingFilter
from e2i_site.audit.models import AuditRun, CheckResult, Finding, Waiver
from e2i_site.core.bodies import Body, ReasonBody


class AuditRunRowSerializer(serializers.ModelSerializer[AuditRun]):
    seconds = serializers.FloatField(read_only=True, allow_null=True)
    started_by = serializers.CharField(
        source="started_by.username", read_only=True, allow_null=True
    )

    class Meta:
        model = AuditRun
        fields: tuple[str, ...] = (
            "id",
            "phase",
            "check_id",
            "status",
            "started_by",
            "job",
            "checks_total",
            "counts",
            "created_at",
            "started_at",
            "finished_at",
            "seconds",
        )


class CheckResultSerializer(serializers.ModelSerializer[CheckResult]):
    class Meta:
        model = CheckResult
        exclude = ("id", "run")


class AuditRunSerializer(AuditRunRowSerializer):
    results = CheckResultSerializer(many=True, read_only=True)

    class Meta(AuditRunRowSerializer.Meta):
        fields = (*AuditRunRowSerializer.Meta.fields, "results")


class AuditBody(Body):
    phase = serializers.IntegerField(required=False, help_text="Only the checks of this phase.")
    check_id = serializers.CharField(required=False, help_text="Only this check.")


class FindingRowSerializer(serializers.ModelSerializer[Finding]):
    status = serializers.ChoiceField(
        source="shown_status",
        choices=FindingStatus.choices,
        read_only=True,
        help_text="A waiver that ran out leaves the finding open.",
    )

    class Meta:
        model = Finding
        fields: tuple[str, ...] | str = "__all__"


class WaiverSerializer(serializers.ModelSerializer[Waiver]):
    owner = serializers.CharField(source="owner.username", read_only=True)
    granted_by = serializers.CharField(source="granted_by.username", read_only=True)

    class Meta:
        model = Waiver
        exclude = ("id", "finding")


class FindingSerializer(FindingRowSerializer):
    waivers = WaiverSerializer(many=True, read_only=True)


class WaiverBody(Body):
    owner = serializers.SlugRelatedField[User](
        slug_field="username", queryset=User.objects.all(), help_text="Who answers for it."
    )
    reason = serializers.CharField(allow_blank=True, help_text="It goes on record.")
    expires_at = serializers.DateTimeField()


class AuditRunViewSet(ReadViewSet):
    """Audits; a single one has what each check said."""

    queryset = AuditRun.objects.select_related("started_by").order_by("-id")
    serializer_class = AuditRunSerializer
    list_serializer_class = AuditRunRowSerializer
    filterset_class = AuditRunFilter
    ordering_fields = ["id"]

    def get_queryset(self) -> QuerySet[AuditRun]:
        found = super().get_queryset()
        return found if self.action == "list" else found.prefetch_related("results")

    @extend_schema(request=AuditBody, responses={201: AuditRunSerializer})
    def create(self, request: Request) -> Response:
        """Start an audit of everything, of one phase or of one check."""
        run = start_audit(actor=person(request), **asked(AuditBody, request))
        return self.shown(run.pk, status.HTTP_201_CREATED)


class FindingViewSet(ReadViewSet):
    """What is wrong, since when, and who lives with it."""

    queryset = Finding.objects.order_by("priority", "-opened_at")
    serializer_class = FindingSerializer
    list_serializer_class = FindingRowSerializer
    filterset_class = FindingFilter
    ordering_fields = ["priority", "opened_at", "last_seen"]

    def get_queryset(self) -> QuerySet[Finding]:
        found = super().get_queryset()
        if self.action == "list":
            return found
        return found.prefetch_related("waivers__owner", "waivers__granted_by")

    @extend_schema(request=WaiverBody, responses={200: FindingSerializer})
    @action(detail=True, methods=["post"])
    def waive(self, request: Request, pk: str) -> Response:
        """Let a finding stand until a day; a person decides it, never a token."""
        decided_by_person(request).enforce()
        found, data = self.get_object(), asked(WaiverBody, request)
        waive(finding=found, actor=person(request), **data)
        return self.shown(found.pk)

    @extend_schema(request=ReasonBody, responses={200: FindingSerializer})
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """End the waiver in force."""
        decided_by_person(request).enforce()
        found, data = self.get_object(), asked(ReasonBody, request)
        revoke_waiver(finding=found, actor=person(request), **data)
        return self.shown(found.pk)
