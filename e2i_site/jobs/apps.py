from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "e2i_site.jobs"
    label = "jobs"

    def ready(self) -> None:
        from e2i_site.jobs.breaker_store import DatabaseStore
        from e2i_site.mlflow_connector import set_breaker_store

        autodiscover_modules("job_handlers")
        set_breaker_store(DatabaseStore())
