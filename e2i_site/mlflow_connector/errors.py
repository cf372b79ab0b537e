"""What can go wrong between E2I and MLflow."""

from __future__ import annotations

from e2i_site.core.errors import E2IError


class MLflowError(E2IError):
    """Base of all failures of the connector."""


class Unreachable(MLflowError):
    """MLflow does not answer, or the breaker is open."""


class NotFound(MLflowError):
    """MLflow has no such object."""


class Conflict(MLflowError):
    """MLflow has such an object already."""


class Rejected(MLflowError):
    """MLflow refused the request."""
