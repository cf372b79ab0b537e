from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class TrailConfig(AppConfig):
    name = "e2i_site.trail"
    label = "trail"

    def ready(self) -> None:
        from e2i_site.trail import people, tokens

        autodiscover_modules("trail_events")
        people.watch()
        tokens.watch()
