"""Whether MLflow's webhook works, and what stands in its way."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from e2i_site.activity.models import WebhookDelivery, WebhookState
from e2i_site.core.partials import render_page

DELIVERIES = 30


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Registration, last test, counts and the last deliveries."""
    context = {
        "state": WebhookState.objects.filter(pk=1).first(),
        "deliveries": WebhookDelivery.objects.all()[:DELIVERIES],
    }
    return render_page(request, "activity/webhook.html", context, partials=())
