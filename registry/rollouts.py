"""How stages that need serving are carried out. `deployments` registers itself here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from registry.models import Promotion, RegistryEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Begin = Callable[[Promotion], None]


class Left(Protocol):
    """Ends the serving of `entry` in `stage`; `stopped` in an emergency, with nothing after it."""

    def __call__(
        self, entry: RegistryEntry, stage: str, actor: User | None, reason: str, *, stopped: bool
    ) -> None: ...


_begin: Begin | None = None
_left: list[Left] = []


def register(*, begin: Begin, left: Left) -> None:
    """`begin(promotion)` starts a roll-out; `left(entry, stage, actor, reason)` ends serving.

    Both run inside the caller's transaction and only enqueue or write rows.
    """
    global _begin
    _begin = begin
    _left[:] = [left]


def begin(promotion: Promotion) -> None:
    """Start carrying out an approved promotion to a served stage."""
    if _begin is None:
        raise RuntimeError("No app rolls out promotions; is `deployments` installed?")
    _begin(promotion)


def left(
    entry: RegistryEntry, stage: str, actor: User | None, reason: str, *, stopped: bool = False
) -> None:
    """Tell that `entry` is no longer in `stage`; `stopped` by an emergency stop."""
    for function in _left:
        function(entry, stage, actor, reason, stopped=stopped)
