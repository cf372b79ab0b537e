"""What notifications write to the trail."""

from e2i_site.trail.events import register

WEBHOOK_ADDED = register("notifications.webhook.added", "Webhook added")
WEBHOOK_REMOVED = register("notifications.webhook.removed", "Webhook removed")
SECRET_RENEWED = register("notifications.webhook.secret_renewed", "Webhook secret renewed")
RESENT = register("notifications.delivery.resent", "Delivery sent again")
