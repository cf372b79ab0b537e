from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "e2i_site.demo"
    label = "demo"
