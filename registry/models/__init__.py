"""Tables of the registry room."""

from registry.models.break_glass import BreakGlass, BreakGlassReview
from registry.models.card import ModelCard, VersionSignature
from registry.models.entry import RegisteredModel, RegistryEntry, StageChange
from registry.models.measurement import TestPredictions, VersionMeasurement
from registry.models.policy import PromotionPolicy
from registry.models.promotion import GateResult, Promotion, Review, ReviewAssignment
from registry.models.sync import SyncState

__all__ = [
    "BreakGlass",
    "BreakGlassReview",
    "GateResult",
    "ModelCard",
    "Promotion",
    "PromotionPolicy",
    "RegisteredModel",
    "RegistryEntry",
    "Review",
    "ReviewAssignment",
    "StageChange",
    "SyncState",
    "TestPredictions",
    "VersionMeasurement",
    "VersionSignature",
]
