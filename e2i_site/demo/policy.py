"""The demo policy: the default one with a short shadow window, and a notice that says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from registry.actions.publish_policy import publish_policy
from registry.models import PromotionPolicy

if TYPE_CHECKING:
    from django.contrib.auth.models import User

NAME = "demo"
DOCUMENT = Path(__file__).with_name("policy.yaml")


def ensure(administrator: User) -> PromotionPolicy:
    """Publish the demo policy; nothing happens when it is there already."""
    source = DOCUMENT.read_text(encoding="utf-8")
    return publish_policy(source=source, reason="The demo needs it.", actor=administrator)
