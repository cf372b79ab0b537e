"""HTTP to MLflow: one client a process, retries for calls that may be repeated, the breaker."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx
import orjson
import stamina
import stamina.instrumentation

from e2i_site.core import env
from e2i_site.core.errors import ConfigurationError
from e2i_site.mlflow_connector.breaker import Breaker
from e2i_site.mlflow_connector.errors import Busy, Conflict, NotFound, Rejected, Unreachable
from e2i_site.mlflow_connector.masking import mask_text

API = "/api/2.0/mlflow/"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
_PRESENT = {"RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"}
_CHUNK = 1 << 20
Result = TypeVar("Result")
# Retries go to the standard log; stamina's own choice may print to standard output.
stamina.instrumentation.set_on_retry_hooks([stamina.instrumentation.LoggingOnRetryHook])


class RequestCount:
    """How many HTTP requests a block of code made."""

    def __init__(self) -> None:
        self.value = 0


_counter: ContextVar[RequestCount | None] = ContextVar("mlflow_requests", default=None)


@contextmanager
def count_requests() -> Iterator[RequestCount]:
    """Count the requests made by this thread or task inside the block."""
    counter = RequestCount()
    token = _counter.set(counter)
    try:
        yield counter
    finally:
        _counter.reset(token)


def count_request() -> None:
    """Count one request for the `count_requests` around this."""
    if counter := _counter.get():
        counter.value += 1


_single: ContextVar[bool] = ContextVar("mlflow_single_attempt", default=False)


@contextmanager
def single_attempt() -> Iterator[None]:
    """No retries in this block: for callers that can come back later anyway."""
    token = _single.set(True)
    try:
        yield
    finally:
        _single.reset(token)


@dataclass(frozen=True)
class RetryPolicy:
    """Waits in seconds; `retries` come after the first attempt, `total` limits them all."""

    retries: int = 3
    initial: float = 0.3
    longest: float = 5.0
    jitter: float = 0.5
    total: float = 90.0


class Transport:
    """Calls to one MLflow server. Safe for threads, and after a fork."""

    def __init__(
        self,
        url: str,
        *,
        breaker: Breaker,
        timeout: float = 30.0,
        policy: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.breaker = breaker
        self._timeout = httpx.Timeout(timeout, connect=min(timeout, 10.0))
        self.policy = policy or RetryPolicy()
        self._headers = dict(headers or {})
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._pid = 0

    @property
    def safe_url(self) -> str:
        """The address without credentials."""
        return mask_text(self.url)

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """GET from MLflow's REST API; parameters that are None are left out."""
        given = {name: value for name, value in params.items() if value is not None}
        return self.json("GET", API + path, params=given, repeat=True)

    def search(self, path: str, **body: Any) -> dict[str, Any]:
        """POST that only reads, so it may be repeated."""
        return self.json("POST", API + path, body=body, repeat=True)

    def search_unguarded(self, path: str, **body: Any) -> dict[str, Any]:
        """One attempt of `search`, past the breaker, for a thread that must not ask its store.

        The thread that waits for the answer minds the breaker, and says `count_request`.
        """

        def once() -> dict[str, Any]:
            response = self._client_now().post(API + path, json=body)
            raise_for(response)
            return _parsed(response)

        return self._answer(once)

    def write(self, method: str, path: str, *, repeat: bool = False, **body: Any) -> dict[str, Any]:
        """A call that changes something. `repeat` says that doing it twice is harmless."""
        return self.json(method, API + path, body=body, repeat=repeat)

    def json(
        self, method: str, path: str, *, repeat: bool, params: Any = None, body: Any = None
    ) -> dict[str, Any]:
        """One call that answers with a JSON object.

        Raises:
            Unreachable, NotFound, Conflict, Rejected: see `errors`.
        """

        def once() -> dict[str, Any]:
            response = self._client_now().request(method, path, params=params, json=body)
            raise_for(response)
            return _parsed(response)

        return self._call(once, repeat=repeat)

    def text(self, path: str) -> str:
        """GET of a plain text page of the server."""

        def once() -> str:
            response = self._client_now().get(path)
            raise_for(response)
            return response.text

        return self._call(once, repeat=True)

    def upload(self, path: str, file: Path) -> None:
        """PUT a file; doing it twice is harmless."""

        def once() -> None:
            with file.open("rb") as stream:
                response = self._client_now().put(
                    path, content=_chunks(stream), headers={"Content-Length": str(_size(stream))}
                )
            raise_for(response)

        self._call(once, repeat=True)

    def download(self, path: str, target: Path, *, params: Any = None) -> None:
        """GET a file into `target`, streaming; a broken transfer starts again from nothing."""

        def once() -> None:
            with self._client_now().stream("GET", path, params=params) as response:
                if not response.is_success:
                    response.read()
                raise_for(response)
                with target.open("wb") as stream:
                    for chunk in response.iter_bytes(_CHUNK):
                        stream.write(chunk)

        self._call(once, repeat=True)

    def read(self, path: str, *, limit: int, params: Any = None) -> bytes:
        """GET a small file; more than `limit` bytes are rejected."""

        def once() -> bytes:
            content = bytearray()
            with self._client_now().stream("GET", path, params=params) as response:
                if not response.is_success:
                    response.read()
                raise_for(response)
                for chunk in response.iter_bytes(65536):
                    content += chunk
                    if len(content) > limit:
                        raise Rejected(f"{path} is larger than {limit} bytes.", status=413)
            return bytes(content)

        return self._call(once, repeat=True)

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None and self._pid == os.getpid():
            client.close()

    def _call(self, once: Callable[[], Result], *, repeat: bool) -> Result:
        policy = self.policy
        attempts = stamina.retry_context(
            on=lambda error: repeat and not _single.get() and is_worth_repeating(error),
            attempts=policy.retries + 1,
            timeout=policy.total,
            wait_initial=policy.initial,
            wait_max=policy.longest,
            wait_jitter=policy.jitter,
        )
        for attempt in attempts:
            with attempt:
                return self._guarded(once)
        raise AssertionError("the retry loop ended without an outcome")

    def _guarded(self, once: Callable[[], Result]) -> Result:
        with self.breaker.guard():
            count_request()
            return self._answer(once)

    def _answer(self, once: Callable[[], Result]) -> Result:
        try:
            return once()
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Unreachable(self._no_answer(error)) from error
        except httpx.HTTPError as error:
            raise Rejected(f"The call to {self.safe_url} cannot be made: {error}") from error

    def _no_answer(self, error: Exception) -> str:
        what = mask_text(str(error)) or type(error).__name__
        return f"MLflow at {self.safe_url} does not answer: {what}."

    def _client_now(self) -> httpx.Client:
        """The client of this process: sockets must not be shared with a forked child."""
        client = self._client
        if client is not None and self._pid == os.getpid():
            return client
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                self._client, self._pid = self._new_client(), os.getpid()
            return self._client

    def _new_client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.url,
            timeout=self._timeout,
            verify=_tls(),
            auth=_auth(),
            headers={**_bearer(), "User-Agent": "e2i", **self._headers},
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8),
        )


def raise_for(response: httpx.Response) -> None:
    """Turn an HTTP answer that is no success into an error of ours."""
    if response.is_success:
        return
    status, code, message = response.status_code, "", ""
    try:
        data = response.json()
        code, message = str(data.get("error_code", "")), str(data.get("message", ""))
    except (ValueError, AttributeError):
        message = response.reason_phrase
    message = mask_text(message)[:500]
    if status >= 500:
        raise Unreachable(f"MLflow failed with {status}: {message}")
    if status in (408, 429):
        raise Busy(f"MLflow is busy ({status}).", retry_after=_wait(response))
    if code in _ABSENT or (status == 404 and not code):
        raise NotFound(message, code=code)
    if code in _PRESENT or status == 409:
        raise Conflict(message)
    if status in (401, 403):
        message = f"MLflow refuses access ({status}): {message} Check MLFLOW_TRACKING_USERNAME, "
        message += "MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_TOKEN, and --allowed-hosts."
    elif response.is_redirect:
        message = f"The server redirects to {mask_text(response.headers.get('location', ''))}; "
        message += "set MLFLOW_TRACKING_URI to MLflow itself."
    raise Rejected(message, status=status, code=code)


def _parsed(response: httpx.Response) -> dict[str, Any]:
    try:
        data = orjson.loads(response.content)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise Rejected(
            f"{mask_text(str(response.url))} did not answer with JSON; is MLFLOW_TRACKING_URI "
            "the address of an MLflow server?",
            status=response.status_code,
        )
    return data


def is_worth_repeating(error: Exception) -> bool:
    """An open breaker is not: waiting is somebody else's decision."""
    return isinstance(error, Unreachable) and (error.counted or isinstance(error, Busy))


def _wait(response: httpx.Response) -> float:
    try:
        return min(max(float(response.headers.get("Retry-After", "5")), 1.0), 300.0)
    except ValueError:
        return 5.0


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _size(stream: IO[bytes]) -> int:
    return os.fstat(stream.fileno()).st_size


def _tls() -> ssl.SSLContext | bool:
    """MLflow's own variables for TLS."""
    if env.flag("MLFLOW_TRACKING_INSECURE_TLS"):
        return False
    authority = env.text("MLFLOW_TRACKING_SERVER_CERT_PATH")
    certificate = env.text("MLFLOW_TRACKING_CLIENT_CERT_PATH")
    if not authority and not certificate:
        return True
    try:
        is_folder = Path(authority).is_dir() if authority else False
        context = ssl.create_default_context(
            cafile=authority if authority and not is_folder else None,
            capath=authority if is_folder else None,
        )
        if certificate:
            context.load_cert_chain(certificate)
    except OSError as error:
        raise ConfigurationError(
            f"MLFLOW_TRACKING_SERVER_CERT_PATH ({authority or 'not set'}) or "
            f"MLFLOW_TRACKING_CLIENT_CERT_PATH ({certificate or 'not set'}): {error}"
        ) from None
    return context


def _auth() -> httpx.BasicAuth | None:
    name, password = env.text("MLFLOW_TRACKING_USERNAME"), env.text("MLFLOW_TRACKING_PASSWORD")
    return httpx.BasicAuth(name, password) if name and password else None


def _bearer() -> dict[str, str]:
    token = env.text("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token and _auth() is None else {}
