from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from e2i_site.audit import registry
from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, SubjectOutcome

Body = Callable[[CheckContext], Iterable[SubjectOutcome]]
Register = Callable[..., None]


@pytest.fixture
def only_checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Register]:
    """An empty registry, and the way to put checks into it."""
    monkeypatch.setattr(registry, "_checks", {})

    def register(id: str, body: Body, priority: Priority = Priority.P1) -> None:
        registry.check(
            id,
            phase=int(id[0]),
            title=f"Check {id}",
            remediation=f"Mend {id}.",
            priority=priority,
        )(body)

    return register
