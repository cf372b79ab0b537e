"""Where a deployment stands between its request and its end."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.choices import DeploymentStatus
from deployments.models import Canary, Deployment

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
    way, shares = _SHADOW_WAY if deployment.is_shadow else _WAY, _shares(deployment)
    status = DeploymentStatus(deployment.status)
    canary: Canary | None = getattr(deployment, "canary", None)
    if status in way:
        at = way.index(status) + (len(shares) if status not in way[:2] else 0)
        if deployment.canary_share and canary is not None:
            at = 2 + canary.step
        return [
            Stop(label, "past" if n < at else "now" if n == at else "later")
            for n, label in enumerate(_labels(deployment, way, shares))
        ]
    labels = _labels(deployment, way, shares)
    begun = 2 + len(canary.measured) if canary is not None else 1
    reached = labels[: 3 + len(shares)] if deployment.deployed_at else labels[:begun]
    return [*(Stop(label, "past") for label in reached), Stop(status.label, "now")]


def _labels(
    deployment: Deployment, way: tuple[DeploymentStatus, ...], shares: list[str]
) -> list[str]:
    """The shares of a canary come between loading it and all callers."""
    active = "Shadowing" if deployment.is_shadow else "Active"
    words = [active if each == DeploymentStatus.ACTIVE else str(each.label) for each in way]
    return [*words[:2], *shares, *words[2:]]


def _shares(deployment: Deployment) -> list[str]:
    canary: Canary | None = getattr(deployment, "canary", None)
    return [f"{share} %" for share in canary.limits["steps"]] if canary is not None else []
