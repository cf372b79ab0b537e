"""How stages that need serving are carried out. `deployments` registers itself here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
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


@dataclass(frozen=True)
class Served:
    """A version that an endpoint answered with (or got copies of, as a shadow) since `since`.

    `words` say its environment and strategy on pages.
    """

    model: str
    version: int
    deployment: int
    endpoint: str
    environment: str
    strategy: str
    words: str
    digest: str
    since: datetime
    url: str


# (names of models or None for all, moment) -> what served at that moment.
ServingAt = Callable[[Collection[str] | None, datetime], list[Served]]

_begin: Begin | None = None
_left: list[Left] = []
_serving_at: ServingAt | None = None


def register(*, begin: Begin, left: Left, serving_at: ServingAt) -> None:
    """`begin(promotion)` starts a roll-out; `left(entry, stage, actor, reason)` ends serving.

    Both run inside the caller's transaction and only enqueue or write rows. `serving_at` reads.
    """
    global _begin, _serving_at
    _begin, _serving_at = begin, serving_at
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


def serving_at(models: Collection[str] | None, moment: datetime) -> list[Served]:
    """What served the models (None: all) at `moment`; nothing where no app deploys."""
    return _serving_at(models, moment) if _serving_at else []
