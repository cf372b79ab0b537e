"""Running nodes in their stated order, each recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from training.pipeline.types import Json

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class NodeNote:
    """What a node says of itself when it ends; the recorder stores it."""

    outcome: str = "succeeded"
    detail: MutableMapping[str, Json] = field(default_factory=dict)


class NodeRecorder(Protocol):
    """Where the start, the end and the outcome of each node go while the pipeline runs."""

    def node(self, name: str) -> AbstractContextManager[NodeNote]:
        """Record one node; an exception from its block is recorded and passed on."""
        ...

    def progress(self, phase: str, done: int, total: int) -> None:
        """Show how far the present node is."""
        ...

    def raise_if_cancelled(self) -> None:
        """Raise when somebody asked the run to stop."""
        ...


class NodeResult(Protocol):
    """What a node returns: facts for people, and the reasons that end the pipeline, if any."""

    def facts(self) -> Mapping[str, Json]: ...

    @property
    def blocking(self) -> tuple[str, ...]: ...


Result = TypeVar("Result", bound=NodeResult)


class Blocked(Exception):
    """A gate said no; the pipeline ends here and keeps what it learned."""

    def __init__(self, node: str, reasons: tuple[str, ...]) -> None:
        self.node = node
        self.reasons = reasons
        super().__init__(f"{node}: {' '.join(reasons)}")


class Steps:
    """Runs the nodes of one pipeline and refuses any other order than the stated one."""

    def __init__(self, order: tuple[str, ...], recorder: NodeRecorder) -> None:
        self._left = list(order)
        self.recorder = recorder

    def run(self, name: str, work: Callable[[], Result], *, stoppable: bool = True) -> Result:
        """Run the next node, unless somebody asked the run to stop and it is `stoppable`.

        Raises `Blocked` when its result holds blocking reasons.
        """
        expected = self._left.pop(0) if self._left else "nothing"
        if name != expected:
            raise ValueError(f"Node {name} is out of order; {expected} comes next.")
        if stoppable:
            self.recorder.raise_if_cancelled()
        with self.recorder.node(name) as note:
            result = work()
            note.detail.update(result.facts())
            if result.blocking:
                note.outcome = "blocked"
        if result.blocking:
            raise Blocked(name, result.blocking)
        return result


@dataclass
class _Entry:
    name: str
    note: NodeNote
    error: str = ""


class MemoryRecorder:
    """Keeps the nodes in a list; for scripts and tests."""

    def __init__(self) -> None:
        self.nodes: list[_Entry] = []
        self.reports: list[tuple[str, int, int]] = []

    @contextmanager
    def node(self, name: str) -> Iterator[NodeNote]:
        entry = _Entry(name, NodeNote())
        self.nodes.append(entry)
        try:
            yield entry.note
        except BaseException as error:
            entry.note.outcome = "failed"
            entry.error = f"{type(error).__name__}: {error}"
            raise

    def progress(self, phase: str, done: int, total: int) -> None:
        self.reports.append((phase, done, total))

    def raise_if_cancelled(self) -> None:
        return
