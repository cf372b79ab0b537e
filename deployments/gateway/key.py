"""The secret that gateway and workers share: derived, so nobody has to configure it."""

from __future__ import annotations

from django.utils.crypto import salted_hmac


def gateway_key() -> str:
    """Opens the checks of single deployments. Follows from SECRET_KEY."""
    return salted_hmac("deployments.gateway", "checks", algorithm="sha256").hexdigest()
