"""Events in the admin, to read only."""

from django.contrib import admin

from e2i_site.activity.models import MlflowEvent
from e2i_site.core.admin import ReadOnlyAdmin


@admin.register(MlflowEvent)
class MlflowEventAdmin(ReadOnlyAdmin):
    list_display = ("id", "noticed_at", "kind", "label", "key", "user", "source")
    list_filter = ("kind", "subject_kind", "source")
    search_fields = ("label", "key", "user")
    date_hierarchy = "noticed_at"
