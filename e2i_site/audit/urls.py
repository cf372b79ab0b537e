"""Addresses of the audit, below /audit/."""

from __future__ import annotations

from django.urls import path

from e2i_site.audit import views

app_name = "audit"
urlpatterns = [
    path("", views.plan, name="home"),
    path("start/", views.start, name="start"),
    path("findings/", views.findings, name="findings"),
    path("findings/<int:pk>/", views.finding, name="finding"),
    path("findings/<int:pk>/waive/", views.waive, name="waive"),
    path("findings/<int:pk>/revoke/", views.revoke, name="revoke"),
    path("runs/", views.runs, name="runs"),
    path("runs/<int:pk>/", views.run, name="run"),
    path("report/", views.report, name="report"),
    path("report/<str:format>/", views.report_download, name="report_download"),
]
