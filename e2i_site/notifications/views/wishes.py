"""What one wants to hear, and by which way."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from e2i_site.core.errors import InvalidInput
from e2i_site.core.http import go_to, next_url
from e2i_site.notifications import events
from e2i_site.notifications.forms import WebhookForm
from e2i_site.notifications.models import Channel, Watch, Webhook
from e2i_site.notifications.subscriptions import choices_of, choose, unwatch, watch


@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """Events by channel, watched models, one's own webhooks."""
    user = cast(User, request.user)
    if request.method == "POST":
        pairs = [value.rpartition("|") for value in request.POST.getlist("wanted")]
        choose(user, {(event, channel) for event, _, channel in pairs})
        messages.success(request, "Saved.")
        return go_to(request, "notifications:preferences")
    return show_preferences(request, WebhookForm())


def show_preferences(
    request: HttpRequest,
    form: WebhookForm,
    *,
    new: Webhook | None = None,
    status: int = 200,
) -> HttpResponse:
    """The page; `new` is a webhook whose secret is shown, this once."""
    user = cast(User, request.user)
    chosen = choices_of(user)
    rows = [
        {
            "event": event,
            "cells": [
                {
                    "value": f"{event.name}|{channel.value}",
                    "label": channel.label,
                    "wanted": chosen[event.name, channel],
                    "fixed": event.mandatory and channel == Channel.INBOX,
                }
                for channel in Channel
            ],
        }
        for event in events.all_events()
    ]
    context = {
        "rows": rows,
        "channels": Channel,
        "watches": Watch.objects.filter(user=user).order_by("scope"),
        "webhooks": Webhook.objects.filter(owner=user),
        "form": form,
        "new": new,
        "mail": mail_words(user),
    }
    response = render(request, "notifications/preferences.html", context, status=status)
    if new is not None:
        response["Cache-Control"] = "no-store"
    return response


def mail_words(user: User) -> str:
    """Why no mail comes, or where it goes to."""
    if not settings.EMAIL_CONFIGURED:
        return "No mail server is configured, so nobody is mailed."
    if settings.EMAIL_BACKEND.endswith("console.EmailBackend"):
        return "Mails are written to the console of the worker; no mail server is configured."
    if not user.email:
        return "Your account has no mail address, so you are not mailed."
    return f"Mails go to {user.email}."


@require_POST
def set_watch(request: HttpRequest) -> HttpResponse:
    """Watch a scope, or watch it no more."""
    user = cast(User, request.user)
    scope = request.POST.get("scope", "").strip()[:300]
    if "\x00" in scope:
        raise InvalidInput("No model has a NUL in its name.")
    if request.POST.get("on") == "1" and scope:
        watch(user, scope)
    else:
        unwatch(user, scope)
    return go_to(request, next_url(request, "notifications:preferences"))
