"""/api/v1/jobs: background work, and cancelling it."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from e2i_site.accounts.api import ReadViewSet, asked, person
from e2i_site.core.bodies import Body
from e2i_site.jobs.actions.cancel import cancel
from e2i_site.jobs.filters import JobFilter
from e2i_site.jobs.models import Job


class JobRowSerializer(serializers.ModelSerializer[Job]):
    actor = serializers.CharField(source="actor.username", read_only=True, allow_null=True)

    class Meta:
        model = Job
        fields: tuple[str, ...] = (
            "id",
            "kind",
            "subject",
            "state",
            "message",
            "attempt",
            "max_attempts",
            "cancel_requested",
            "phase",
            "done",
            "total",
            "actor",
            "request_id",
            "created_at",
            "started_at",
            "finished_at",
        )


class JobSerializer(JobRowSerializer):
    class Meta(JobRowSerializer.Meta):
        fields = (*JobRowSerializer.Meta.fields, "log", "result")


class EveryJobFilter(JobFilter):
    """As on the page, which hides what the schedule did well; a script sees every job."""

    scheduled = None


class JobViewSet(ReadViewSet):
    """Background work."""

    queryset = Job.objects.select_related("actor").order_by("-id")
    serializer_class = JobSerializer
    list_serializer_class = JobRowSerializer
    filterset_class = EveryJobFilter
    ordering_fields = ["id", "created_at", "finished_at"]

    def get_queryset(self) -> QuerySet[Job]:
        found = super().get_queryset()
        return found.defer("payload", "log", "result") if self.action == "list" else found

    @extend_schema(request=None, responses={200: JobSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Ask a job to stop."""
        job = self.get_object()
        asked(Body, request)
        cancel(job=job, actor=person(request))
        return self.shown(job.pk)
