"""Background work of the activity."""

from __future__ import annotations

from typing import Any

from e2i_site.jobs.handlers import handler
from e2i_site.jobs.runner import JobContext


@handler("mlflow.webhook", lease=120)
def look_after_webhook(job: JobContext) -> dict[str, Any]:
    """Keep our webhook registered in MLflow, and know whether it works."""
    from e2i_site.activity.actions.register_webhook import look_after_webhook
    from e2i_site.mlflow_connector import get_connector

    state = look_after_webhook(get_connector())
    return {"works": state.works, "problem": state.problem}
