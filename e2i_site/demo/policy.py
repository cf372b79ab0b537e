"""The demo policy: the default one with a short shadow window, and a notice that says so."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from registry.actions.publish_policy import publish_policy
from registry.choices import Stage
from registry.document.write import written
from registry.models import PromotionPolicy

if TYPE_CHECKING:
    from django.contrib.auth.models import User

NAME = "demo"
HOURS = 0.0025
REQUESTS = 600
# Everything of the demo shares one machine, which trains while it serves.
P99_MS = 500
WORDS = {
    "name": NAME,
    "description": "For the demo only: as the default policy, but the shadow window is short.",
    "notice": f"Demo policy: a shadow window of {HOURS * 3600:.0f} seconds and {REQUESTS} "
    f"requests, p99 below {P99_MS} ms.",
}


def ensure(administrator: User) -> PromotionPolicy:
    """Publish the demo policy; nothing happens when it is there already."""
    default = PromotionPolicy.objects.newest("default")
    if default is None:
        raise RuntimeError("The default policy is missing; run manage.py migrate.")
    stages = deepcopy(default.stages)
    stages[Stage.PRODUCTION]["shadow"].update(hours=HOURS, requests=REQUESTS, p99_ms=P99_MS)
    source = written({**WORDS, "stages": stages})
    return publish_policy(source=source, reason="The demo needs it.", actor=administrator)
