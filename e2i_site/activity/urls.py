"""Addresses of the activity, below /activity/."""

from __future__ import annotations

from django.urls import path

from e2i_site.activity.views import events, webhook

app_name = "activity"
urlpatterns = [
    path("", events.home, name="home"),
    path("recent/", events.recent, name="recent"),
    path("webhook/", webhook.home, name="webhook"),
    path("export/", events.export, name="export"),
]
