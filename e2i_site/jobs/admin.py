"""Jobs in the admin."""

from django.contrib import admin

from e2i_site.core.admin import ReadOnlyAdmin
from e2i_site.jobs.models import BreakerRecord, Job


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "subject", "state", "attempt", "created_at", "finished_at")
    list_filter = ("state", "kind")
    search_fields = ("subject", "kind", "message")


@admin.register(BreakerRecord)
class BreakerAdmin(ReadOnlyAdmin):
    list_display = ("name", "version", "updated_at")
