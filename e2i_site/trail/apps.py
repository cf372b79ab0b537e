from django.apps import AppConfig


class TrailConfig(AppConfig):
    name = "e2i_site.trail"
    label = "trail"
