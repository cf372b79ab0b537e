"""Addresses of the activity, below /activity/."""

from __future__ import annotations

from django.urls import path

from e2i_site.activity import views

app_name = "activity"
urlpatterns = [
    path("", views.home, name="home"),
    path("recent/", views.recent, name="recent"),
    path("export/", views.export, name="export"),
]
