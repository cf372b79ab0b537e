"""Keeping one webhook of ours in MLflow, and knowing whether it works."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from e2i_site.activity.models import WebhookDelivery, WebhookState
from e2i_site.mlflow_connector import MLflowConnector, NotFound, Rejected, Unreachable, webhooks
from e2i_site.mlflow_connector.transport import single_attempt
from e2i_site.mlflow_connector.webhooks import Webhook

#: How often a webhook that works, and one that does not, is tried by a delivery.
TEST_EVERY, RETRY_EVERY = timedelta(hours=1), timedelta(minutes=5)
KEEP = timedelta(days=30)
_KEY = (
    "Give every MLflow server process the same MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY and keep it: "
    "without it each process makes its own, and what one stored no other can sign."
)


def look_after_webhook(connector: MLflowConnector, *, test: bool = False) -> WebhookState:
    """Register or repair the webhook if need be, and try it from time to time.

    Args:
        test: try it now, and register it also after it was removed on request.

    Returns:
        The state. What is in the way is in `problem`, with the setting that removes it.
    """
    state, _ = WebhookState.objects.get_or_create(pk=1)
    state.url, state.checked_at = settings.MLFLOW_WEBHOOK_URL, timezone.now()
    _note_account(connector, state)
    if test:
        state.removed_at = None
    state.problem = _REMOVED if state.removed_at else _unwanted(connector.transport.url, state.url)
    try:
        if not state.problem:
            _keep(connector, state, test=test)
        elif state.webhook_id and (state.removed_at or not settings.MLFLOW_WEBHOOKS):
            _take_out(connector, state)
    except (Unreachable, Rejected, NotFound) as error:
        state.problem = _explained(error)
    # Somebody may have it removed at this moment.
    state.save(update_fields=[each for each in _OURS if test or each != "removed_at"])
    WebhookDelivery.objects.filter(received_at__lt=timezone.now() - KEEP).delete()
    return state


def remove_webhook(connector: MLflowConnector) -> WebhookState:
    """Take ours out of MLflow, and keep it out until somebody asks for it again.

    What is in the way is in `problem`; nothing is noted as removed then.
    """
    state, _ = WebhookState.objects.get_or_create(pk=1)
    state.url, state.checked_at = settings.MLFLOW_WEBHOOK_URL, timezone.now()
    try:
        _take_out(connector, state)
    except (Unreachable, Rejected, NotFound) as error:
        state.problem = _explained(error)
    else:
        state.removed_at = state.removed_at or timezone.now()
        state.problem = _REMOVED
    state.save(update_fields=_OURS)
    return state


def _keep(connector: MLflowConnector, state: WebhookState, *, test: bool) -> None:
    registered = _register(connector, state)
    if test or registered or _is_due(state):
        _test(connector, state)
    if state.test_passed is False:  # also while it is not yet time to try again
        state.problem = f"The last test failed. {state.test_detail}"


def _take_out(connector: MLflowConnector, state: WebhookState) -> None:
    for each in webhooks.find(connector, state.url, state.webhook_id):
        webhooks.delete(connector, each.webhook_id)
    state.webhook_id, state.secret_mark = "", ""
    state.tested_at, state.test_passed, state.test_detail = None, None, ""


_REMOVED = "It was removed from MLflow on request; manage.py mlflow_webhooks registers it again."
_OURS = (
    "removed_at",
    "account",
    "sees_everything",
    "url",
    "webhook_id",
    "secret_mark",
    "problem",
    "checked_at",
    "tested_at",
    "test_passed",
    "test_detail",
)


def _note_account(connector: MLflowConnector, state: WebhookState) -> None:
    """Who we are to MLflow; what was known stays when it does not answer or refuses."""
    try:
        with single_attempt():
            account = connector.identity()
    except (Unreachable, Rejected):
        return
    state.account = account.name if account else ""
    state.sees_everything = account.is_admin if account else None


def _unwanted(server: str, url: str) -> str:
    """Why nothing is to be registered at all."""
    if not settings.MLFLOW_WEBHOOKS:
        return "Webhooks are turned off by E2I_MLFLOW_WEBHOOKS."
    if _is_loopback(url) and not _is_loopback(server):
        return (
            f"MLflow runs elsewhere and cannot reach {url}. Set E2I_SITE_URL, or "
            "E2I_MLFLOW_WEBHOOK_URL, to an address of this site that it can reach."
        )
    return ""


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _register(connector: MLflowConnector, state: WebhookState) -> bool:
    """Make it so that MLflow has exactly one webhook of ours; True when something was changed."""
    secret = settings.MLFLOW_WEBHOOK_SECRET
    mark = hmac.new(secret.encode(), b"e2i webhook", hashlib.sha256).hexdigest()
    found = webhooks.find(connector, state.url, state.webhook_id)
    mine = next((each for each in found if each.webhook_id == state.webhook_id), None)
    mine = mine or next(iter(found), None)
    for other in found:
        if other is not mine:
            webhooks.delete(connector, other.webhook_id)
    if mine is not None and _fits(mine, state, mark):
        return False
    if mine is None:
        mine = webhooks.create(connector, state.url, secret)
    else:
        webhooks.update(connector, mine.webhook_id, state.url, secret)
    state.webhook_id, state.secret_mark = mine.webhook_id, mark
    return True


def _fits(found: Webhook, state: WebhookState, mark: str) -> bool:
    known = found.webhook_id == state.webhook_id and mark == state.secret_mark
    return known and found.is_whole and found.url == state.url


def _is_due(state: WebhookState) -> bool:
    if state.tested_at is None:
        return True
    pause = TEST_EVERY if state.test_passed else RETRY_EVERY
    return timezone.now() - state.tested_at > pause


def _test(connector: MLflowConnector, state: WebhookState) -> None:
    """Have MLflow send an example to us; it counts only when we could verify it."""
    rejected = WebhookState.objects.values_list("rejected", flat=True).get(pk=1)
    result = webhooks.test(connector, state.webhook_id)
    state.tested_at, state.test_passed = timezone.now(), result.success
    state.test_detail = result.detail
    if result.success:
        return
    now = WebhookState.objects.get(pk=1)
    if now.rejected > rejected and now.rejected_reason.startswith("signature"):
        state.test_detail = f"It arrived with a wrong signature. {_KEY}"
    else:
        state.test_detail = f"It did not arrive: {result.detail} {_hint(result.detail)}".strip()


def _explained(error: Exception) -> str:
    """What MLflow refused, and the setting that changes it."""
    text = str(error)
    if isinstance(error, Rejected) and error.is_access:
        return (
            f"E2I's account at MLflow may not manage webhooks; it must be an administrator. {text}"
        )
    if isinstance(error, NotFound) or "not implemented" in text.lower():
        return f"This MLflow has no webhooks; they came with MLflow 3.3 and need a database. {text}"
    if isinstance(error, Unreachable):
        failed = error.counted and "failed with 500" in text
        return f"MLflow failed at reading its webhooks. {_KEY} {text}" if failed else text
    return f"{text} {_hint(text)}".strip()


def _hint(text: str) -> str:
    if "scheme" in text:
        return "Start MLflow with MLFLOW_WEBHOOK_ALLOWED_SCHEMES=http,https, or serve E2I by https."
    if "non-public" in text or "public" in text:
        return "Start MLflow with MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true."
    return ""
