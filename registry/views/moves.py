"""The ways on from where a version stands, each with who may ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.urls import reverse

from e2i_site.core.decision import Decision
from registry.choices import RESTORES, Stage
from registry.models import RegistryEntry
from registry.policies import may_request, ways_on

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True)
class Move:
    """One stage that a version may be asked to move to. `current`: the one that is chosen."""

    stage: Stage
    decision: Decision
    url: str
    current: bool = False
    restores: bool = False

    @property
    def label(self) -> str:
        if self.stage == Stage.ARCHIVED:
            return "Request to archive"
        if self.restores:
            return f"Request to restore to {self.stage}"
        return f"Request for {self.stage}"

    @property
    def stage_label(self) -> str:
        return str(self.stage.label)

    @property
    def icon(self) -> str:
        return "archive" if self.stage == Stage.ARCHIVED else "git-pull-request"

    @property
    def tone(self) -> str:
        return "" if self.stage == Stage.ARCHIVED else "primary"


def moves(user: User, entry: RegistryEntry, chosen: str = "") -> list[Move]:
    """The legal ways on, in order of travel; none for a version at its end."""
    return [
        Move(
            stage,
            may_request(user, entry, stage),
            request_url(entry, stage),
            current=stage == chosen,
            restores=stage in RESTORES.get(entry.stage, ()),
        )
        for stage in ways_on(entry.stage)
    ]


def request_url(entry: RegistryEntry, stage: str) -> str:
    query = {"model": entry.model_id, "version": entry.model_version, "to": stage}
    return f"{reverse('registry:request')}?{urlencode(query)}"
