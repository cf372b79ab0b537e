from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"
    label = "registry"

    def ready(self) -> None:
        from registry.actions.register_version import register_version
        from registry.gates import (  # noqa: F401 - register gates
            again,
            builtin,
            card,
            quality,
            serving,
        )
        from registry.measuring import kinds  # noqa: F401 - registers what is measured
        from training.hooks import on_version_registered

        on_version_registered(register_version)
