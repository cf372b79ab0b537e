"""/api/v1/: which view set answers for which collection."""

from __future__ import annotations

from rest_framework.renderers import JSONRenderer
from rest_framework.routers import APIRootView, DefaultRouter

from deployments.api.views import DeploymentViewSet, ShadowWindowViewSet
from e2i_site.accounts.api import HasRole
from e2i_site.audit.api import AuditRunViewSet, FindingViewSet
from e2i_site.jobs.api import JobViewSet
from e2i_site.trail.api import TrailViewSet
from registry.api.views import ModelViewSet, PolicyViewSet, PromotionViewSet, VersionViewSet
from training.api.views import ExperimentViewSet, SelectionViewSet, TrainingRunViewSet


class Collections(APIRootView):
    """The collections and their addresses."""

    permission_classes = [HasRole]
    renderer_classes = [JSONRenderer]


class Router(DefaultRouter):
    APIRootView = Collections
    include_format_suffixes = False


router = Router()
for name, viewset in {
    "experiments": ExperimentViewSet,
    "selections": SelectionViewSet,
    "training-runs": TrainingRunViewSet,
    "models": ModelViewSet,
    "versions": VersionViewSet,
    "promotions": PromotionViewSet,
    "policies": PolicyViewSet,
    "deployments": DeploymentViewSet,
    "shadow-windows": ShadowWindowViewSet,
    "audit-runs": AuditRunViewSet,
    "findings": FindingViewSet,
    "trail": TrailViewSet,
    "jobs": JobViewSet,
}.items():
    router.register(name, viewset, basename=name)

urlpatterns = router.urls
