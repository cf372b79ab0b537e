"""Where everything is. The composition root of the pages; /api/v1/ is in api_urls."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from e2i_site import health, views
from e2i_site.accounts.api import HasRole
from e2i_site.activity.views.inbox import receive

handler400 = "e2i_site.core.problems.bad_request"
handler404 = "e2i_site.core.problems.not_found"
handler500 = "e2i_site.core.problems.server_error"

schema = SpectacularAPIView.as_view(permission_classes=[HasRole])
api_docs = SpectacularSwaggerSplitView.as_view(url_name="schema", permission_classes=[HasRole])

urlpatterns = [
    path("", views.home, name="home"),
    path("accounts/", include("e2i_site.accounts.urls")),
    path("training/", include("training.urls")),
    path("registry/", include("registry.urls")),
    path("deployments/", include("deployments.urls")),
    path("audit/", include("e2i_site.audit.urls")),
    path("activity/", include("e2i_site.activity.urls")),
    path("trail/", include("e2i_site.trail.urls")),
    path("notifications/", include("e2i_site.notifications.urls")),
    path("jobs/", include("e2i_site.jobs.urls")),
    # Its own page would let the old password be guessed.
    path("admin/password_change/", RedirectView.as_view(pattern_name="accounts:password")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("e2i_site.api_urls")),
    path("api/schema/", schema, name="schema"),
    path("api/docs/", login_required(api_docs), name="api_docs"),
    path("webhooks/mlflow", receive, name="mlflow_webhook"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]
if settings.DEBUG:
    from e2i_site.specimens import design

    urlpatterns.append(path("design/", design, name="design"))
