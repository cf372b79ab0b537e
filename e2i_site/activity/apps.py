from django.apps import AppConfig


class ActivityConfig(AppConfig):
    name = "e2i_site.activity"
    label = "activity"
