"""Where the mirror reads what is big: the runs and the models that they made.

Two sources give the same: MLflow's REST API, which is always there, and MLflow's own SQL tables,
which are many times faster and private to MLflow. Experiments and the registry are small; they
are read over REST in either case.
"""

from e2i_site.mlflow_connector.sources.base import (
    Failure,
    Page,
    RunRecord,
    Slice,
    Source,
    record_of,
)
from e2i_site.mlflow_connector.sources.rest import RestSource
from e2i_site.mlflow_connector.sources.sql import SqlSource, StoreUnusable, open_store

__all__ = [
    "Failure",
    "Page",
    "RestSource",
    "RunRecord",
    "Slice",
    "Source",
    "SqlSource",
    "StoreUnusable",
    "open_store",
    "record_of",
]
