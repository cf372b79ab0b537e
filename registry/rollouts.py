"""How stages that need serving are carried out. `deployments` registers itself here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from registry.models import Promotion, RegistryEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Begin = Callable[[Promotion], None]
Left = Callable[[RegistryEntry, str, "User | None", str], None]

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


def left(entry: RegistryEntry, stage: str, actor: User | None, reason: str) -> None:
    """Tell that `entry` is no longer in `stage`."""
    for function in _left:
        function(entry, stage, actor, reason)
