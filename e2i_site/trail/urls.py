"""Addresses of the trail, below /trail/."""

from __future__ import annotations

from django.urls import path

from e2i_site.trail import views

app_name = "trail"
urlpatterns = [
    path("", views.home, name="home"),
    path("export/", views.export, name="export"),
    path("verification/", views.verification, name="verification"),
    path("<int:pk>/", views.entry, name="entry"),
]
