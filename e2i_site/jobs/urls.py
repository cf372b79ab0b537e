"""Addresses of the jobs, below /jobs/."""

from __future__ import annotations

from django.urls import path

from e2i_site.jobs import views

app_name = "jobs"
urlpatterns = [
    path("", views.home, name="home"),
    path("<int:pk>/", views.job, name="job"),
    path("<int:pk>/cancel/", views.cancel, name="cancel"),
]
