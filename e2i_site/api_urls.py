"""/api/v1/: which view set answers for which collection."""

from __future__ import annotations

from rest_framework.routers import DefaultRouter

from deployments.api.views import DeploymentViewSet, ShadowWindowViewSet
from e2i_site.audit.api import AuditRunViewSet, FindingViewSet
from e2i_site.jobs.api import JobViewSet
from e2i_site.trail.api import TrailViewSet
from registry.api.views import ModelViewSet, PolicyViewSet, PromotionViewSet, VersionViewSet
from training.api.views import ExperimentViewSet, SelectionViewSet, TrainingRunViewSet

router = DefaultRouter()
router.register("experiments", ExperimentViewSet)
router.register("selections", SelectionViewSet)
router.register("training-runs", TrainingRunViewSet)
router.register("models", ModelViewSet)
router.register("versions", VersionViewSet)
router.register("promotions", PromotionViewSet)
router.register("policies", PolicyViewSet)
router.register("deployments", DeploymentViewSet)
router.register("shadow-windows", ShadowWindowViewSet)
router.register("audit-runs", AuditRunViewSet)
router.register("findings", FindingViewSet)
router.register("trail", TrailViewSet)
router.register("jobs", JobViewSet)

urlpatterns = router.urls
