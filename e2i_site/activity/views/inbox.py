"""Where MLflow's webhooks arrive: verify, store, answer; the work is a job's."""

from __future__ import annotations

import time

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from e2i_site.activity.actions.receive import receive_delivery, refuse_delivery
from e2i_site.mlflow_connector.webhooks import BadDelivery, verify

MAX_BYTES = 1_000_000


@csrf_exempt
@login_not_required
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """202 when it is stored, 200 when it was known, 401 when it must not be believed.

    The signature over the raw bytes stands in for a login.
    """
    length = request.headers.get("Content-Length", "")
    if not length.isascii() or not length.isdigit() or int(length) > MAX_BYTES:
        return HttpResponse("Too large.", status=413, content_type="text/plain")
    try:
        delivery = verify(
            request.headers, request.body, settings.MLFLOW_WEBHOOK_SECRET, time.time()
        )
    except BadDelivery as error:
        refuse_delivery(f"{error.code}: {error}")
        return HttpResponse(str(error), status=401, content_type="text/plain")
    is_new = receive_delivery(delivery)
    return HttpResponse(status=202 if is_new else 200)
