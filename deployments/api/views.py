"""/api/v1/ deployments and shadow-windows."""

from __future__ import annotations

from deployments.api.serializers import DeploymentSerializer, ShadowWindowSerializer
from deployments.models import Deployment, ShadowWindow
from e2i_site.accounts.api import ReadViewSet


class DeploymentViewSet(ReadViewSet):
    queryset = Deployment.objects.select_related("entry").order_by("-id")
    serializer_class = DeploymentSerializer
    filterset_fields = ["status", "environment", "strategy", "endpoint_name", "entry__model"]
    ordering_fields = ["id", "deployed_at"]


class ShadowWindowViewSet(ReadViewSet):
    queryset = ShadowWindow.objects.select_related("entry", "policy").order_by("-opened_at")
    serializer_class = ShadowWindowSerializer
    filterset_fields = ["state", "verdict", "entry__model"]
    ordering_fields = ["opened_at"]
