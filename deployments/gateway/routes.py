"""Which deployment serves which endpoint, held in memory and refreshed from a provider."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from deployments.gateway.model_host import LoadedModel, LoadFailed, ModelHost

logger = logging.getLogger(__name__)

# A model that did not load is tried again after this long.
RETRY_SECONDS = 5.0
# Routes are read about once a second; so old, something holds the reader up.
STALE_SECONDS = 10.0


@dataclass(frozen=True)
class Target:
    """A deployment as the database has it.

    `slow_ms` is the p99 limit of its shadow window, `share` the percent of callers of a canary.
    """

    deployment: int
    endpoint: str
    role: str
    model: str
    version: int
    digest: str
    slow_ms: float | None = None
    was_shadow: bool = False
    share: int = 0

    def describe(self) -> dict[str, Any]:
        return {
            "deployment": self.deployment,
            "model": self.model,
            "version": self.version,
            "digest": f"sha256:{self.digest}",
        }


# Roles of a target: it answers callers, or a share of them, it gets copies, or it is only reachable
# for checks. A stopped one is named and never loaded.
ACTIVE, CANARY, SHADOW = "active", "canary", "shadow"
STANDBY, STOPPED = "standby", "stopped"


class RouteProvider(Protocol):
    def read(self) -> Sequence[Target]:
        """All deployments that have to be loaded; at most one of each role but the last two an
        endpoint."""
        ...


@dataclass(frozen=True)
class Served:
    """A target and its model, verified and in memory."""

    target: Target
    model: LoadedModel


@dataclass(frozen=True)
class Endpoint:
    """What an endpoint has. `wanted` is what the database says, the rest what is loaded."""

    name: str
    active: Served | None = None
    canary: Served | None = None
    shadow: Served | None = None
    others: Mapping[int, Served] = field(default_factory=dict)
    wanted: tuple[Target, ...] = ()

    def find(self, deployment: int) -> Served | None:
        """The loaded deployment with this id, whatever its role."""
        for served in (self.active, self.canary, self.shadow):
            if served and served.target.deployment == deployment:
                return served
        return self.others.get(deployment)

    def why_silent(self) -> str:
        """Why no version answers, for callers."""
        stopped = [each for each in self.wanted if each.role == STOPPED and not each.was_shadow]
        if not stopped:
            return f"No version is active at {self.name!r}."
        last = max(stopped, key=lambda each: each.deployment)
        return (
            f"{last.model} version {last.version} was stopped in an emergency, and no version has "
            f"taken its place at {self.name!r}."
        )

    def wants(self, role: str) -> Target | None:
        return next((each for each in self.wanted if each.role == role), None)


class RouteTable:
    """Reads targets about once a second, loads their models, then switches in one assignment.

    `read` and `load` are for two threads: a stop takes effect while a model is being loaded.
    A new active deployment takes over only once its model is in memory; until then the one
    before it keeps answering. When the provider fails the last routes stay.
    """

    def __init__(self, provider: RouteProvider, host: ModelHost) -> None:
        self._provider = provider
        self._host = host
        self._endpoints: dict[str, Endpoint] = {}
        self._failures: dict[str, tuple[float, str]] = {}
        self._targets: tuple[Target, ...] = ()
        self._reading = threading.Lock()
        self.refreshed_at: float | None = None
        self.problem = ""

    def endpoint(self, name: str) -> Endpoint | None:
        return self._endpoints.get(name)

    def all(self) -> list[Endpoint]:
        return list(self._endpoints.values())

    def failure(self, target: Target) -> str:
        """Why the target's model is not loaded; empty while it is loaded or loading."""
        return self._failures.get(target.digest, (0.0, ""))[1]

    def stale(self) -> str:
        """That the routes were not read for long; empty when they were."""
        age = time.monotonic() - self.refreshed_at if self.refreshed_at is not None else 0.0
        return f"The routes were last read {age:.0f} s ago." if age > STALE_SECONDS else ""

    def refresh(self) -> None:
        """Read, then load what is missing, in this thread."""
        if self.read():
            self.load()

    def read(self) -> bool:
        """Read the provider and switch to what is loaded already. False where it fails."""
        with self._reading:  # so that no older list is switched to after a newer one
            try:
                self._targets = tuple(self._provider.read())
            except Exception as error:
                if not self.problem:
                    logger.exception("The routes could not be read; the last ones stay")
                self.problem = f"The routes could not be read: {type(error).__name__}."
                return False
            self._switch(self._targets)
            self.problem = ""
            self.refreshed_at = time.monotonic()
            return True

    def load(self) -> None:
        """Load what is missing, one after the other, reading anew after each."""
        tried: set[str] = set()
        while (target := self._missing(tried)) is not None:
            tried.add(target.digest)
            if self._load(target) and not self.read():
                return
        self._host.retain({each.digest for each in self._needed()})

    def _needed(self) -> list[Target]:
        return [each for each in self._targets if each.role != STOPPED]

    def _missing(self, tried: Container[str]) -> Target | None:
        for each in self._needed():
            if each.digest not in tried and self._host.get(each.digest) is None:
                return each
        return None

    def _load(self, target: Target) -> bool:
        """False where it is too early to try again."""
        failed_at, _ = self._failures.get(target.digest, (-RETRY_SECONDS, ""))
        if time.monotonic() - failed_at < RETRY_SECONDS:
            return False
        try:
            self._host.load(target.digest)
            self._failures.pop(target.digest, None)
        except LoadFailed as error:
            self._failures[target.digest] = (time.monotonic(), str(error))
            logger.error("Deployment %s is not loaded: %s", target.deployment, error)
        return True

    def _switch(self, targets: Iterable[Target]) -> None:
        wanted: dict[str, list[Target]] = {}
        for target in targets:
            wanted.setdefault(target.endpoint, []).append(target)
        self._endpoints = {name: self._assemble(name, each) for name, each in wanted.items()}

    def _assemble(self, name: str, targets: Sequence[Target]) -> Endpoint:
        loaded = {target: self._served(target) for target in targets}
        before = self._endpoints.get(name)
        active = _with_role(loaded, ACTIVE)
        if active is None and before and any(each.role == ACTIVE for each in targets):
            active = before.active
        others = {
            target.deployment: served
            for target, served in loaded.items()
            if served and target.role == STANDBY
        }
        canary, shadow = _with_role(loaded, CANARY), _with_role(loaded, SHADOW)
        return Endpoint(name, active, canary, shadow, others, tuple(targets))

    def _served(self, target: Target) -> Served | None:
        model = self._host.get(target.digest)
        return Served(target, model) if model else None


def _with_role(loaded: Mapping[Target, Served | None], role: str) -> Served | None:
    return next((each for target, each in loaded.items() if each and target.role == role), None)


class Refresher:
    """Calls a function every `seconds` in a thread of its own until stopped."""

    def __init__(self, function: Callable[[], object], *, seconds: float, name: str) -> None:
        self._function = function
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end and wait for its present round."""
        self._over.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        failing = False
        while not self._over.is_set():
            try:
                self._function()
                failing = False
            except Exception:
                if not failing:
                    logger.exception("%s failed; it is tried again and again", self._thread.name)
                failing = True
            self._over.wait(self._seconds)
