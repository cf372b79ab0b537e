"""Tables of the deployments room."""

from deployments.models.canary import Canary
from deployments.models.deployment import Deployment
from deployments.models.gateway import GatewayInstance
from deployments.models.shadow import ShadowLook, ShadowWindow
from deployments.models.traffic import TrafficMinute

__all__ = [
    "Canary",
    "Deployment",
    "GatewayInstance",
    "ShadowLook",
    "ShadowWindow",
    "TrafficMinute",
]
