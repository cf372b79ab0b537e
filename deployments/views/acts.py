"""Acts of people: rolling back, holding a canary, letting go, judging and voiding a window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from deployments import queries
from deployments.actions.canary import abort_canary, pause_canary, resume_canary
from deployments.actions.retire import retire_deployment
from deployments.actions.roll_back import request_rollback
from deployments.actions.windows import evaluate_window, void_window
from deployments.forms import ReasonForm
from deployments.models import Canary, Deployment, ShadowWindow
from deployments.policies import (
    may_abort_canary,
    may_pause_canary,
    may_resume_canary,
    may_retire,
    may_roll_back,
    may_void_window,
)
from deployments.rollback import readiness
from deployments.views.deployment import canary_of, notice, window_of
from e2i_site.core.decision import refuse
from e2i_site.core.http import errors_on, go_to
from e2i_site.core.partials import render_page

if TYPE_CHECKING:
    from django.contrib.auth.models import User

METHODS = ["GET", "HEAD", "POST"]


@login_required
@require_http_methods(METHODS)
def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what a rollback would do, verify its target's bytes, then ask for it."""
    found = _deployment(pk)
    form = ReasonForm(request.POST or None)
    user = _person(request)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            request_rollback(deployment=found, actor=user, reason=form.cleaned_data["reason"])
        if not form.errors:
            messages.success(request, "The rollback is under way; this page follows it.")
            return go_to(request, found)
    ready, detail = readiness(found)
    decision = may_roll_back(user, found)
    now = timezone.now()
    minutes = queries.traffic_since([found.pk], now - queries.RECENT).get(found.pk, ())
    context = {
        "title": f"Roll back {found.entry}",
        "deployment": found,
        "previous": found.previous_deployment,
        "ready": ready,
        "ready_detail": detail,
        "recent": queries.total(minutes, queries.RECENT),
        "consequences": _effect(found),
        "decision": decision if ready or not decision else refuse(detail),
        "submit_label": "Roll back",
        "tone": "danger",
        "notice": notice(found),
    }
    return _page(request, "deployments/roll_back.html", found, form, context)


def _effect(found: Deployment) -> list[str]:
    previous = found.previous_deployment
    if previous is None:
        return []
    return [
        f"A job verifies the files of {previous.entry} by their digest, has the gateway load them "
        "and answer the model's input example. If any of this fails, nothing changes.",
        f"Then, in one step, {previous.entry} answers all requests to {found.endpoint_name} "
        f"and {found.entry} answers none.",
        f"{previous.entry} returns to production and {found.entry} is archived; MLflow's alias "
        "follows.",
        f"Only a reviewed restore to staging leads {found.entry} out of the archive again.",
    ]


@login_required
@require_http_methods(METHODS)
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep a canary at its present share."""
    found = _deployment(pk)
    canary = _canary(found)
    return _confirm(
        request,
        found,
        act=lambda user, reason: pause_canary(canary=canary, actor=user, reason=reason),
        done="It is paused.",
        context={
            "title": f"Pause the canary of {found.entry}",
            "consequences": [
                f"{found.entry} goes on answering {found.canary_share} % of the callers.",
                "Nothing widens it until it is resumed; what is measured may still end it.",
            ],
            "decision": may_pause_canary(_person(request), canary),
            "submit_label": "Pause it",
            "tone": "primary",
        },
    )


@login_required
@require_http_methods(METHODS)
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a paused canary go on."""
    found = _deployment(pk)
    canary = _canary(found)
    return _confirm(
        request,
        found,
        act=lambda user, reason: resume_canary(canary=canary, actor=user, reason=reason),
        done="It goes on.",
        context={
            "title": f"Resume the canary of {found.entry}",
            "consequences": [
                f"{found.entry} is widened when the step is complete; what it answered during the "
                "pause counts.",
            ],
            "decision": may_resume_canary(_person(request), canary),
            "submit_label": "Resume it",
            "tone": "primary",
        },
    )


@login_required
@require_http_methods(METHODS)
def abort(request: HttpRequest, pk: int) -> HttpResponse:
    """End a roll-out before it has all callers."""
    found = _deployment(pk)
    canary = _canary(found)
    return _confirm(
        request,
        found,
        act=lambda user, reason: abort_canary(canary=canary, actor=user, reason=reason),
        done="It is aborted; the version before answers all callers.",
        context={
            "title": f"Abort the roll-out of {found.entry}",
            "consequences": [
                "Within a second or two the version in production answers all callers again.",
                f"The promotion ends as failed, and {found.entry} stays in {found.entry.stage}; "
                "it can be asked for anew.",
            ],
            "decision": may_abort_canary(_person(request), canary),
            "submit_label": "Abort it",
        },
    )


@login_required
@require_http_methods(METHODS)
def retire(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the gateway forget a deployment that is only kept warm."""
    found = _deployment(pk)
    successor = found.successors.order_by("-pk").first()
    lines = [
        f"The gateway unloads {found.entry}; it answers nothing today, so no caller notices.",
        "A rollback to it stays possible while its files verify, but takes longer.",
    ]
    if successor:
        lines.insert(1, f"{successor.entry} keeps answering at {found.endpoint_name}.")
    return _confirm(
        request,
        found,
        act=lambda user, reason: retire_deployment(deployment=found, actor=user, reason=reason),
        done="It is retired.",
        context={
            "title": f"Stop keeping {found.entry} warm",
            "consequences": lines,
            "decision": may_retire(_person(request), found),
            "submit_label": "Retire it",
        },
    )


@login_required
@require_http_methods(METHODS)
def void(request: HttpRequest, pk: int) -> HttpResponse:
    """Declare that the evidence of a shadow window does not count."""
    found = _deployment(pk)
    window = _window(found)
    return _confirm(
        request,
        found,
        act=lambda user, reason: void_window(window=window, actor=user, reason=reason),
        done="The window is void.",
        context={
            "title": f"Void the shadow window of {found.entry}",
            "consequences": [
                "What was measured stays visible, and counts for nothing.",
                "Promotions to production that wait for this window do not pass their gate.",
                "The evidence cannot be declared good again; a new window starts from zero.",
            ],
            "decision": may_void_window(_person(request), window),
            "submit_label": "Void the window",
        },
    )


@login_required
@require_POST
def evaluate(request: HttpRequest, pk: int) -> HttpResponse:
    """Judge the window by what is measured now; the look is on record."""
    found = _deployment(pk)
    window = evaluate_window(window=_window(found), actor=_person(request))
    messages.success(request, f"Judged now: {window.get_verdict_display().lower()}.")
    return go_to(request, found)


def _confirm(
    request: HttpRequest,
    found: Deployment,
    *,
    act: Callable[[User, str], object],
    done: str,
    context: dict[str, Any],
) -> HttpResponse:
    """A page that says what will happen, asks for a reason, and then does it."""
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            act(_person(request), form.cleaned_data["reason"])
        if not form.errors:
            messages.success(request, done)
            return go_to(request, found)
    context = {"deployment": found, "tone": "danger", **context}
    return _page(request, "deployments/confirm.html", found, form, context)


def _page(
    request: HttpRequest, template: str, found: Deployment, form: Form, context: dict[str, Any]
) -> HttpResponse:
    whole = {"form": form, "back": found.get_absolute_url(), **context}
    return render_page(request, template, whole, status=400 if form.errors else 200)


def _deployment(pk: int) -> Deployment:
    return get_object_or_404(queries.deployment_for_page(pk))


def _canary(found: Deployment) -> Canary:
    canary = canary_of(found)
    if canary is None:
        raise Http404("This deployment has no canary.")
    return canary


def _window(found: Deployment) -> ShadowWindow:
    window = window_of(found)
    if window is None:
        raise Http404("This deployment has no shadow window.")
    return window


def _person(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]
