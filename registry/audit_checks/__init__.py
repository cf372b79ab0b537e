"""Checks of the registry: phases 3 and 4 where they concern versions, and phase 5's workflow."""

from registry.audit_checks import (
    break_glass,
    policies,
    remedies,
    signatures,
    stages,
    versions,
    workflow,
)

__all__ = ["break_glass", "policies", "remedies", "signatures", "stages", "versions", "workflow"]
