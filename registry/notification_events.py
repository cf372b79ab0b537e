"""What the registry tells people."""

from e2i_site.notifications.events import register

REVIEW_NEEDED = register("registry.promotion.review_needed", "A promotion needs my review")
DECIDED = register("registry.promotion.decided", "My promotion was decided")
ROLLED_OUT = register("registry.promotion.rolled_out", "A promotion was carried out, or failed")
COMMENTED = register("registry.promotion.commented", "A comment on a promotion of mine")
MENTIONED = register("registry.promotion.mentioned", "Somebody mentions me", personal=True)
REMINDER = register("registry.promotion.reminder", "A promotion still waits for me", personal=True)
EXPIRED = register("registry.promotion.expired", "A promotion expired")
BREAK_GLASS = register(
    "registry.promotion.break_glass", "A promotion past its gates (break-glass)", mandatory=True
)
EMERGENCY_STOP = register("registry.version.emergency_stop", "An emergency stop", mandatory=True)
