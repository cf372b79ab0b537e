"""Addresses below /deployments/."""

from __future__ import annotations

from django.urls import path

from deployments.views import acts, board, deployment

app_name = "deployments"
urlpatterns = [
    path("", board.home, name="home"),
    path("export/", board.export, name="export"),
    path("<int:pk>/", deployment.deployment, name="deployment"),
    path("<int:pk>/rollback/", acts.roll_back, name="roll_back"),
    path("<int:pk>/canary/pause/", acts.pause, name="canary_pause"),
    path("<int:pk>/canary/resume/", acts.resume, name="canary_resume"),
    path("<int:pk>/canary/abort/", acts.abort, name="canary_abort"),
    path("<int:pk>/retire/", acts.retire, name="retire"),
    path("<int:pk>/window/evaluate/", acts.evaluate, name="window_evaluate"),
    path("<int:pk>/window/void/", acts.void, name="window_void"),
]
