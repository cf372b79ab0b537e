"""Tables of the registry room."""

from registry.models.entry import RegisteredModel, RegistryEntry, StageChange
from registry.models.policy import PromotionPolicy
from registry.models.promotion import GateResult, Promotion, Review
from registry.models.sync import SyncState

__all__ = [
    "GateResult",
    "Promotion",
    "PromotionPolicy",
    "RegisteredModel",
    "RegistryEntry",
    "Review",
    "StageChange",
    "SyncState",
]
