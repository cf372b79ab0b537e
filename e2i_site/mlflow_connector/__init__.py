"""The connector: the only importer of mlflow and the only caller of MLflow's REST API.

Importing this package is cheap; mlflow itself is imported when a model is saved or loaded.
"""

from e2i_site.mlflow_connector.breaker import BreakerData, BreakerSnapshot, BreakerStore
from e2i_site.mlflow_connector.connector import MLflowConnector, get_connector, set_breaker_store
from e2i_site.mlflow_connector.errors import (
    Conflict,
    MLflowError,
    NotFound,
    Rejected,
    Unreachable,
)
from e2i_site.mlflow_connector.journal import PendingJournal, ReplayResult
from e2i_site.mlflow_connector.naming import conforms, experiment_name, model_name
from e2i_site.mlflow_connector.reads import Presence
from e2i_site.mlflow_connector.tracking import AsyncTrackedRun, TrackedRun
from e2i_site.mlflow_connector.transport import count_requests

__all__ = [
    "AsyncTrackedRun",
    "BreakerData",
    "BreakerSnapshot",
    "BreakerStore",
    "Conflict",
    "MLflowConnector",
    "MLflowError",
    "NotFound",
    "PendingJournal",
    "Presence",
    "Rejected",
    "ReplayResult",
    "TrackedRun",
    "Unreachable",
    "conforms",
    "count_requests",
    "experiment_name",
    "get_connector",
    "model_name",
    "set_breaker_store",
]
