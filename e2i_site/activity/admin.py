"""Events in the admin, to read only."""

from django.contrib import admin

from e2i_site.activity.models import MlflowEvent, WebhookDelivery, WebhookState
from e2i_site.core.admin import ReadOnlyAdmin


@admin.register(MlflowEvent)
class MlflowEventAdmin(ReadOnlyAdmin):
    list_display = ("id", "noticed_at", "kind", "label", "key", "user", "source")
    list_filter = ("kind", "subject_kind", "source")
    search_fields = ("label", "key", "user")
    date_hierarchy = "noticed_at"


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("delivery_id", "entity", "action", "model_name", "received_at", "applied_at")
    list_filter = ("entity", "action")
    search_fields = ("model_name", "delivery_id")


@admin.register(WebhookState)
class WebhookStateAdmin(ReadOnlyAdmin):
    list_display = ("url", "webhook_id", "checked_at", "test_passed", "verified", "rejected")
