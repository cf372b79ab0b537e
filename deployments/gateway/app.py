"""The ASGI application: invocations, health, and checks of deployments before they go live."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.gateway.columns import BadRequest
from deployments.gateway.protocol import UnsupportedMediaType
from deployments.gateway.responses import JSON, problem, provenance
from deployments.gateway.routes import ACTIVE, CANARY, SHADOW, Endpoint, Served
from deployments.gateway.runtime import Gateway, ModelFailed, NotServing
from deployments.gateway.slots import Busy

logger = logging.getLogger(__name__)

ENDPOINT_NAME = re.compile(r"[-a-zA-Z0-9_]{1,256}")
KEY_HEADER = "E2I-Gateway-Key"


def create_app(gateway: Gateway) -> Starlette:
    """The application around `gateway`, whose threads live as long as the application."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(gateway.start)
        yield
        await asyncio.to_thread(gateway.stop)

    handlers = _Handlers(gateway)
    single = "/{endpoint}/deployments/{deployment:int}"
    return Starlette(
        routes=[
            Route("/health", handlers.overview),
            Route("/{endpoint}/invocations", handlers.invoke, methods=["POST"]),
            Route("/{endpoint}/ping", handlers.ping),
            Route("/{endpoint}/health", handlers.ping),
            Route("/{endpoint}/version", handlers.version),
            Route(f"{single}/ping", handlers.check_ping),
            Route(f"{single}/invocations", handlers.check_invoke, methods=["POST"]),
        ],
        exception_handlers=_EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )


@dataclass(frozen=True)
class _Handlers:
    gateway: Gateway

    async def invoke(self, request: Request) -> Response:
        """Answer with the active version, or a canary; the shadow version gets a copy."""
        endpoint = self._endpoint(request)
        body = await self._body(request)
        content_type = request.headers.get("content-type", "")
        target, content, more = await self.gateway.serve(endpoint, body, content_type)
        headers = {**provenance(target), **more}
        return Response(content, media_type="application/json", headers=headers)

    async def ping(self, request: Request) -> Response:
        """200 while the version that should be active is loaded and answers callers."""
        endpoint = self._endpoint(request)
        wanted = endpoint.wants(ACTIVE)
        if wanted is None:
            raise NotServing(endpoint.why_silent())
        if endpoint.active is None or endpoint.active.target != wanted:
            reason = self.gateway.table.failure(wanted) or "It is being loaded."
            raise NotServing(f"Deployment {wanted.deployment} is not ready. {reason}")
        return JSON({"status": "ok"}, headers=provenance(wanted))

    async def version(self, request: Request) -> Response:
        """What the endpoint really serves: from memory, not from the database."""
        endpoint = self._endpoint(request)
        return JSON({"endpoint": endpoint.name, **_loaded(endpoint)})

    async def overview(self, _: Request) -> Response:
        """The process, its endpoints and its problems; 503 while routes were never read."""
        gateway = self.gateway
        refreshed = gateway.table.refreshed_at
        problems = gateway.problems()
        content = {
            "status": "degraded" if problems else "ok",
            "instance": gateway.instance,
            "uptime_seconds": round(time.time() - gateway.started_at, 1),
            "routes_age_seconds": refreshed and round(time.monotonic() - refreshed, 1),
            "mirror_queued": gateway.mirror.queued,
            "endpoints": {each.name: _loaded(each) for each in gateway.table.all()},
            "problems": problems,
        }
        return JSON(content, status_code=503 if refreshed is None else 200)

    async def check_ping(self, request: Request) -> Response:
        """200 once the deployment's model is verified and in memory, whatever its status."""
        served = self._single(request)
        model = served.model
        content = {
            **served.target.describe(),
            "load_seconds": round(model.load_seconds, 3),
            "has_example": model.example is not None,
        }
        return JSON(content, headers=provenance(served.target))

    async def check_invoke(self, request: Request) -> Response:
        """One deployment's own answer; neither mirrored nor counted as traffic."""
        served = self._single(request)
        body = await self._body(request)
        content_type = request.headers.get("content-type", "")
        content = await self.gateway.predict(served, body, content_type)
        headers = provenance(served.target)
        return Response(content, media_type="application/json", headers=headers)

    def _endpoint(self, request: Request) -> Endpoint:
        name = request.path_params["endpoint"]
        endpoint = self.gateway.table.endpoint(name) if ENDPOINT_NAME.fullmatch(name) else None
        if endpoint is None:
            raise HTTPException(404, "No such endpoint. GET /health lists them.")
        return endpoint

    def _single(self, request: Request) -> Served:
        given = request.headers.get(KEY_HEADER, "")
        if not hmac.compare_digest(given.encode(), self.gateway.key.encode()):
            raise HTTPException(403, f"Checks of single deployments need the header {KEY_HEADER}.")
        endpoint = self._endpoint(request)
        number = request.path_params["deployment"]
        served = endpoint.find(number)
        if served is None:
            wanted = next((each for each in endpoint.wanted if each.deployment == number), None)
            if wanted is None:
                raise HTTPException(404, f"{endpoint.name} has no deployment {number}.")
            reason = self.gateway.table.failure(wanted)
            raise NotServing(
                reason or f"Deployment {number} is being loaded.", refused=bool(reason)
            )
        return served

    async def _body(self, request: Request) -> bytes:
        limit = self.gateway.limits.body_bytes
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.gateway.limits.body_seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limit:
                        raise HTTPException(413, f"The body is larger than {limit:,} bytes.")
                    chunks.append(chunk)
        except TimeoutError:
            raise HTTPException(408, "The body did not arrive in time.") from None
        return b"".join(chunks)


def _loaded(endpoint: Endpoint) -> dict[str, Any]:
    found = {
        role: served.target.describe() if served else None
        for role, served in ((ACTIVE, endpoint.active), (SHADOW, endpoint.shadow))
    }
    if endpoint.canary:
        target = endpoint.canary.target
        found[CANARY] = {**target.describe(), "share": target.share}
    return found


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    title = {403: "Forbidden", 404: "Not found", 405: "Method not allowed", 408: "Too slow"}
    headers = dict(error.headers) if error.headers else None
    return problem(
        error.status_code, title.get(error.status_code, "Refused"), error.detail, headers=headers
    )


async def _bad_request(_: Request, error: Exception) -> Response:
    return problem(400, "The input does not fit", str(error))


async def _media_type(_: Request, error: Exception) -> Response:
    return problem(415, "Unsupported media type", str(error))


async def _model_failed(_: Request, error: Exception) -> Response:
    assert isinstance(error, ModelFailed)
    return problem(error.status, "Model error", str(error), headers=provenance(error.target))


async def _busy(_: Request, error: Exception) -> Response:
    return problem(503, "Busy", "Too many requests wait. Try again.", headers={"Retry-After": "1"})


async def _not_serving(_: Request, error: Exception) -> Response:
    assert isinstance(error, NotServing)
    title = "Cannot be served" if error.refused else "Not serving"
    return problem(503, title, str(error), headers=error.headers)


async def _unexpected(_: Request, error: Exception) -> Response:
    return problem(500, "Gateway error", "The gateway itself failed; its log says why.")


_EXCEPTION_HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    HTTPException: _http,
    BadRequest: _bad_request,
    UnsupportedMediaType: _media_type,
    ModelFailed: _model_failed,
    Busy: _busy,
    NotServing: _not_serving,
    Exception: _unexpected,
}
