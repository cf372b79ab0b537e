"""What can go wrong between E2I and MLflow."""

from __future__ import annotations

from e2i_site.core.errors import Conflict as CoreConflict
from e2i_site.core.errors import E2IError


class MLflowError(E2IError):
    """Base of every failure of a call to MLflow."""


class Unreachable(MLflowError):
    """MLflow gave no usable answer. `retry_after` is in seconds.

    `counted` is true when the failure is one of the connection or a 5xx, which the circuit
    breaker counts; an open breaker and "too many requests" are not counted.
    """

    def __init__(self, message: str, *, retry_after: float = 30.0, counted: bool = True) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.counted = counted


class BreakerOpen(Unreachable):
    """MLflow was not asked, because it did not answer before."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message, retry_after=retry_after, counted=False)


class Busy(Unreachable):
    """MLflow asks to come back later (408, 429)."""

    def __init__(self, message: str, *, retry_after: float = 5.0) -> None:
        super().__init__(message, retry_after=retry_after, counted=False)


class NotFound(MLflowError):
    """There is no such object. `code` is MLflow's; a 404 without one may be a proxy's."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Conflict(MLflowError, CoreConflict):
    """MLflow already has an object of that name, or somebody else is at work on it."""


class Rejected(MLflowError):
    """MLflow answered and said no. `status` is the HTTP status, `code` MLflow's error code."""

    def __init__(self, message: str, *, status: int = 400, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def is_access(self) -> bool:
        """True when the credentials are at fault, which other credentials can mend."""
        return self.status in (401, 403)
