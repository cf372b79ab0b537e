from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "e2i_site.core"
    label = "core"
