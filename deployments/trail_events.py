"""What deployments write to the trail."""

from e2i_site.trail.events import register

REQUESTED = register("deployments.deployment.requested", "Roll-out requested")
ACTIVATED = register("deployments.deployment.activated", "Deployment active")
SUPERSEDED = register("deployments.deployment.superseded", "Deployment replaced, kept warm")
FAILED = register("deployments.deployment.failed", "Roll-out failed")
CANARY_BEGUN = register("deployments.canary.begun", "Canary begun")
CANARY_WIDENED = register("deployments.canary.widened", "Canary widened")
CANARY_PAUSED = register("deployments.canary.paused", "Canary paused")
CANARY_RESUMED = register("deployments.canary.resumed", "Canary resumed")
RETIRED = register("deployments.deployment.retired", "Deployment retired")
STOPPED = register("deployments.deployment.stopped", "Deployment stopped in an emergency")
ROLLBACK_REQUESTED = register("deployments.rollback.requested", "Rollback requested")
ROLLED_BACK = register("deployments.rollback.done", "Rolled back")
ROLLBACK_FAILED = register("deployments.rollback.failed", "Rollback failed")
RESTORED = register("deployments.deployment.restored", "Deployment restored")
WINDOW_OPENED = register("deployments.window.opened", "Shadow window opened")
WINDOW_CLOSED = register("deployments.window.closed", "Shadow window closed")
WINDOW_VOIDED = register("deployments.window.voided", "Shadow window voided")
WINDOW_JUDGED = register("deployments.window.judged", "Shadow verdict changed")
