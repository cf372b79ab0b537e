"""Deployments in the admin: everything to see, nothing to change past the actions."""

from django.contrib import admin

from deployments import models
from e2i_site.core.admin import ReadOnlyAdmin


@admin.register(models.Deployment)
class DeploymentAdmin(ReadOnlyAdmin):
    list_display = ("deployment_name", "environment", "endpoint_name", "status", "strategy")
    list_filter = ("status", "environment", "strategy")
    search_fields = ("deployment_name", "endpoint_name", "artifact_digest")


@admin.register(models.Canary)
class CanaryAdmin(ReadOnlyAdmin):
    list_display = ("deployment", "state", "step", "began_at", "ended_at")
    list_filter = ("state",)
    list_select_related = ("deployment",)


@admin.register(models.ShadowWindow)
class ShadowWindowAdmin(ReadOnlyAdmin):
    list_display = ("entry", "policy", "state", "verdict", "opened_at", "closed_at")
    list_filter = ("state", "verdict")
    list_select_related = ("entry", "policy")


@admin.register(models.ShadowLook)
class ShadowLookAdmin(ReadOnlyAdmin):
    list_display = ("window", "at", "requests", "verdict")
    list_filter = ("verdict",)
    list_select_related = ("window__entry",)


@admin.register(models.TrafficMinute)
class TrafficMinuteAdmin(ReadOnlyAdmin):
    list_display = ("deployment", "minute", "requests", "errors", "slow", "dropped")
    list_select_related = ("deployment",)


@admin.register(models.GatewayInstance)
class GatewayInstanceAdmin(ReadOnlyAdmin):
    list_display = ("instance", "version", "started_at", "seen_at")
