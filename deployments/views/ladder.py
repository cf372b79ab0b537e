"""Where a deployment stands between its request and its end."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.choices import DeploymentStatus
from deployments.models import Deployment

_WAY = (
    DeploymentStatus.PENDING,
    DeploymentStatus.DEPLOYING,
    DeploymentStatus.ACTIVE,
    DeploymentStatus.DRAINING,
    DeploymentStatus.RETIRED,
)
_SHADOW_WAY = (
    DeploymentStatus.PENDING,
    DeploymentStatus.DEPLOYING,
    DeploymentStatus.ACTIVE,
    DeploymentStatus.RETIRED,
)


@dataclass(frozen=True)
class Stop:
    """One step; `state` is past, now or later."""

    label: str
    state: str


def ladder(deployment: Deployment) -> list[Stop]:
    """The steps of this deployment. One that ended badly left the way there."""
    way = _SHADOW_WAY if deployment.is_shadow else _WAY
    labels = {DeploymentStatus.ACTIVE: "Shadowing" if deployment.is_shadow else "Active"}
    status = DeploymentStatus(deployment.status)
    if status in way:
        at = way.index(status)
        return [
            Stop(labels.get(each, each.label), "past" if n < at else "now" if n == at else "later")
            for n, each in enumerate(way)
        ]
    reached = way[:3] if deployment.deployed_at else way[:1]
    past = [Stop(labels.get(each, each.label), "past") for each in reached]
    return [*past, Stop(status.label, "now")]
