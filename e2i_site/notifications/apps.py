from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class NotificationsConfig(AppConfig):
    name = "e2i_site.notifications"
    label = "notifications"

    def ready(self) -> None:
        autodiscover_modules("notification_events")
