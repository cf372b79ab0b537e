from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"
    label = "registry"

    def ready(self) -> None:
        from registry.gates import builtin  # noqa: F401 - registers the gates
