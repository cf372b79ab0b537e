"""/api/v1/ deployments and shadow-windows."""

from __future__ import annotations

from collections.abc import Callable

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from deployments.actions.canary import abort_canary, pause_canary, resume_canary
from deployments.actions.retire import retire_deployment
from deployments.actions.roll_back import request_rollback
from deployments.api.serializers import DeploymentSerializer, ShadowWindowSerializer
from deployments.filters import DeploymentFilter, ShadowWindowFilter
from deployments.models import Canary, Deployment, ShadowWindow
from e2i_site.accounts.api import ReadViewSet, asked, person
from e2i_site.core.bodies import ReasonBody
from e2i_site.core.errors import Refused
from e2i_site.jobs.api import JobSerializer


class DeploymentViewSet(ReadViewSet):
    """Versions that serve or shadow behind an endpoint."""

    queryset = Deployment.objects.select_related("entry", "deployed_by", "canary").order_by("-id")
    serializer_class = DeploymentSerializer
    filterset_class = DeploymentFilter
    ordering_fields = ["id", "deployed_at"]

    @extend_schema(request=ReasonBody, responses={202: JobSerializer})
    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, pk: str) -> Response:
        """Put the previous deployment back; the job that is answered verifies and switches."""
        found, data = self.get_object(), asked(ReasonBody, request)
        job = request_rollback(deployment=found, actor=person(request), **data)
        return Response(JobSerializer(job).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=ReasonBody, responses={200: DeploymentSerializer})
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: str) -> Response:
        """Stop keeping a deployment warm that answers nothing any more."""
        found, data = self.get_object(), asked(ReasonBody, request)
        retire_deployment(deployment=found, actor=person(request), **data)
        return self.shown(found.pk)

    @extend_schema(request=ReasonBody, responses={200: DeploymentSerializer})
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Keep a canary at its present share of the callers."""
        return self._with_canary(pause_canary, request)

    @extend_schema(request=ReasonBody, responses={200: DeploymentSerializer})
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Let a paused canary go on."""
        return self._with_canary(resume_canary, request)

    @extend_schema(request=ReasonBody, responses={200: DeploymentSerializer})
    @action(detail=True, methods=["post"])
    def abort(self, request: Request, pk: str) -> Response:
        """End a canary: the version before answers all callers, and the promotion failed."""
        return self._with_canary(abort_canary, request)

    def _with_canary(self, act: Callable[..., object], request: Request) -> Response:
        found, data = self.get_object(), asked(ReasonBody, request)
        canary: Canary | None = getattr(found, "canary", None)
        if canary is None:
            raise Refused(["This deployment is no canary."])
        act(canary=canary, actor=person(request), **data)
        return self.shown(found.pk)


class ShadowWindowViewSet(ReadViewSet):
    """What versions showed on real traffic, and the verdict."""

    queryset = ShadowWindow.objects.select_related("entry", "policy").order_by("-opened_at")
    serializer_class = ShadowWindowSerializer
    filterset_class = ShadowWindowFilter
    ordering_fields = ["opened_at"]
