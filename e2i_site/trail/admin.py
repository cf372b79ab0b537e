"""The trail in the admin."""

from django.contrib import admin

from e2i_site.core.admin import ReadOnlyAdmin
from e2i_site.trail.models import TrailEntry, TrailHead


@admin.register(TrailEntry)
class TrailEntryAdmin(ReadOnlyAdmin):
    list_display = ("id", "at", "event", "actor_name", "subject_label", "source")
    list_filter = ("source", "event")
    search_fields = ("subject_label", "actor_name", "scope", "hash")
    date_hierarchy = "at"


@admin.register(TrailHead)
class TrailHeadAdmin(ReadOnlyAdmin):
    list_display = ("length", "hash")
