"""Notifications in the admin: looked at, never changed. Secrets and addresses stay out."""

from django.contrib import admin

from e2i_site.core.admin import ReadOnlyAdmin
from e2i_site.notifications.models import Delivery, Message, Watch


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("title", "event", "subject_label", "scope", "actor_name", "at")
    search_fields = ("title", "subject_label", "scope")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("recipient", "channel", "state", "attempts", "last_error", "created_at")
    list_filter = ("state", "channel")
    search_fields = ("recipient",)


@admin.register(Watch)
class WatchAdmin(ReadOnlyAdmin):
    list_display = ("user", "scope", "created_at")
    search_fields = ("scope", "user__username")
