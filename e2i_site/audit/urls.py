"""Addresses of the audit, below /audit/."""

from __future__ import annotations

from django.urls import path

from e2i_site.audit.views import findings, plan, runs

app_name = "audit"
urlpatterns = [
    path("", plan.home, name="home"),
    path("start/", plan.start, name="start"),
    path("progress/", plan.progress, name="progress"),
    path("findings/", findings.findings, name="findings"),
    path("findings/export/", findings.export, name="findings_export"),
    path("findings/<int:pk>/", findings.finding, name="finding"),
    path("findings/<int:pk>/remedy/", findings.remedy, name="remedy"),
    path("findings/<int:pk>/waive/", findings.waive, name="waive"),
    path("findings/<int:pk>/revoke/", findings.revoke, name="revoke"),
    path("runs/", runs.runs, name="runs"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/progress/", runs.run_progress, name="run_progress"),
    path("report/", runs.report, name="report"),
    path("report/<slug:format>/", runs.report_download, name="report_download"),
]
