"""The audit in the admin: everything to see, nothing to change past the actions."""

from django.contrib import admin

from e2i_site.audit import models
from e2i_site.core.admin import ReadOnlyAdmin


@admin.register(models.AuditRun)
class AuditRunAdmin(ReadOnlyAdmin):
    list_display = ("id", "scope", "status", "started_by", "created_at", "finished_at")
    list_filter = ("status", "phase")
    list_select_related = ("started_by",)


@admin.register(models.CheckResult)
class CheckResultAdmin(ReadOnlyAdmin):
    list_display = ("run", "check_id", "title", "outcome", "subjects", "failed", "seconds")
    list_filter = ("outcome", "phase")
    search_fields = ("=check_id", "title")
    list_select_related = ("run",)


@admin.register(models.SubjectResult)
class SubjectResultAdmin(ReadOnlyAdmin):
    list_display = ("result", "subject_label", "outcome", "priority", "message")
    list_filter = ("outcome", "priority")
    search_fields = ("subject_label", "=subject_key")
    list_select_related = ("result",)


@admin.register(models.Finding)
class FindingAdmin(ReadOnlyAdmin):
    list_display = ("check_id", "subject_label", "priority", "status", "opened_at", "occurrences")
    list_filter = ("status", "priority", "phase")
    search_fields = ("subject_label", "message", "=check_id")


@admin.register(models.Waiver)
class WaiverAdmin(ReadOnlyAdmin):
    list_display = ("finding", "owner", "granted_by", "expires_at", "ended_because")
    list_filter = ("ended_because",)
    list_select_related = ("finding", "owner", "granted_by")
