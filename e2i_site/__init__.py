"""E2I: governance for machine-learning models on MLflow."""

from e2i_site.celery import app as celery_app

__all__ = ["celery_app"]
