"""/api/v1/jobs: background work, and cancelling it."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from e2i_site.accounts.api import ReadViewSet
from e2i_site.jobs.actions.cancel import cancel
from e2i_site.jobs.models import Job


class JobSerializer(serializers.ModelSerializer[Job]):
    actor = serializers.CharField(source="actor.username", read_only=True, default=None)

    class Meta:
        model = Job
        fields = (
            "id",
            "kind",
            "subject",
            "state",
            "message",
            "attempt",
            "max_attempts",
            "phase",
            "done",
            "total",
            "log",
            "result",
            "actor",
            "request_id",
            "created_at",
            "started_at",
            "finished_at",
        )


class JobViewSet(ReadViewSet):
    queryset = Job.objects.select_related("actor").order_by("-id")
    serializer_class = JobSerializer
    filterset_fields = ["kind", "state", "subject"]
    ordering_fields = ["id", "created_at", "finished_at"]

    @extend_schema(request=None, responses={200: JobSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Ask a job to stop."""
        job = cancel(job=self.get_object(), actor=cast(User, request.user))
        return Response(self.get_serializer(job).data)
