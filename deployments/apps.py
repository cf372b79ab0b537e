from django.apps import AppConfig


class DeploymentsConfig(AppConfig):
    name = "deployments"
    label = "deployments"

    def ready(self) -> None:
        from deployments import gates, measuring  # noqa: F401 - register gates and measurements
        from deployments.actions.begin_rollout import begin_rollout
        from deployments.actions.retire import left_stage
        from deployments.serving import serving_at
        from registry import rollouts

        rollouts.register(begin=begin_rollout, left=left_stage, serving_at=serving_at)
