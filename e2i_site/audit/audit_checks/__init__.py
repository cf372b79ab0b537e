"""Checks of the connector (phase 1) and of completion (phase 6)."""

from e2i_site.audit.audit_checks import completion, connector

__all__ = ["completion", "connector"]
