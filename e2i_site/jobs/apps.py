from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "e2i_site.jobs"
    label = "jobs"
