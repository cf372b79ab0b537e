"""Webhooks, one's own and shared, and the log of what left."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from e2i_site.core.http import errors_on, go_to
from e2i_site.core.paging import keyset_page
from e2i_site.core.partials import render_page
from e2i_site.notifications import events
from e2i_site.notifications.actions.resend import resend as resend_delivery
from e2i_site.notifications.actions.webhooks import add_webhook, remove_webhook, renew_secret
from e2i_site.notifications.filters import DeliveryFilter
from e2i_site.notifications.forms import SharedWebhookForm, WebhookForm
from e2i_site.notifications.models import Delivery, Webhook, WebhookKind
from e2i_site.notifications.policies import may_see_log
from e2i_site.notifications.views.wishes import mail_words, show_preferences

ROWS = 50


@require_safe
def log(request: HttpRequest) -> HttpResponse:
    """What left for whom: state, attempts, last error. For administrators."""
    user = cast(User, request.user)
    may_see_log(user).enforce()
    found = DeliveryFilter(request.GET, Delivery.objects.select_related("message"))
    page = keyset_page(found.qs if found.is_valid() else found.queryset.none(), request, size=ROWS)
    context = {
        "filter": found,
        "page": page,
        "narrowed": any(request.GET.get(name) for name in found.filters),
        "mail": mail_words(user),
    }
    return render_page(request, "notifications/log.html", context)


@require_POST
def resend(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a failed delivery again."""
    delivery = get_object_or_404(Delivery, pk=pk)
    resend_delivery(delivery=delivery, actor=cast(User, request.user))
    messages.success(request, f"{delivery.recipient} is tried again.")
    return go_to(request, "notifications:log")


@sensitive_post_parameters("url")
@require_POST
def add_own(request: HttpRequest) -> HttpResponse:
    """Keep an address of one's own and show its secret, this once."""
    form = WebhookForm(request.POST)
    webhook = _added(request, form, shared=False)
    if webhook is None:
        return show_preferences(request, form, status=400)
    return show_preferences(request, WebhookForm(), new=webhook)


@sensitive_post_parameters("url")
@require_http_methods(["GET", "HEAD", "POST"])
def shared(request: HttpRequest) -> HttpResponse:
    """The addresses that administrators keep for everybody."""
    may_see_log(cast(User, request.user)).enforce()
    if request.method != "POST":
        return _show_shared(request, SharedWebhookForm())
    form = SharedWebhookForm(request.POST)
    webhook = _added(request, form, shared=True)
    if webhook is None:
        return _show_shared(request, form, status=400)
    return _show_shared(request, SharedWebhookForm(), new=webhook)


@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Tell an address no more."""
    webhook = get_object_or_404(Webhook, pk=pk)
    remove_webhook(webhook=webhook, actor=cast(User, request.user))
    messages.success(request, f"{webhook} was removed.")
    return go_to(request, _page_of(webhook))


@require_POST
def renew(request: HttpRequest, pk: int) -> HttpResponse:
    """Make another secret and show it, this once."""
    webhook = renew_secret(
        webhook=get_object_or_404(Webhook, pk=pk), actor=cast(User, request.user)
    )
    if webhook.owner_id is None:
        return _show_shared(request, SharedWebhookForm(), new=webhook)
    return show_preferences(request, WebhookForm(), new=webhook)


def _page_of(webhook: Webhook) -> str:
    return "notifications:preferences" if webhook.owner_id else "notifications:shared"


def _added(request: HttpRequest, form: WebhookForm, *, shared: bool) -> Webhook | None:
    """The new webhook; None when the form says what is wrong."""
    if not form.is_valid():
        return None
    made: Webhook | None = None
    with errors_on(form):
        made = add_webhook(
            actor=cast(User, request.user),
            name=form.cleaned_data["name"],
            url=form.cleaned_data["url"],
            kind=form.cleaned_data["kind"],
            shared=shared,
            scope=form.scope if isinstance(form, SharedWebhookForm) else "",
            wanted_events=form.cleaned_data.get("events", []),
        )
    return None if form.errors else made


def _show_shared(
    request: HttpRequest,
    form: SharedWebhookForm,
    *,
    new: Webhook | None = None,
    status: int = 200,
) -> HttpResponse:
    webhooks = [
        {"webhook": each, "events": [events.label(name) for name in each.events]}
        for each in Webhook.objects.filter(owner=None)
    ]
    context = {"webhooks": webhooks, "form": form, "new": new, "signed": WebhookKind.SIGNED}
    response = render(request, "notifications/webhooks.html", context, status=status)
    if new is not None:
        response["Cache-Control"] = "no-store"
    return response
