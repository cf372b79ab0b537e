"""Break-glass, its judgement afterwards, and the emergency stop: each a page of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from e2i_site.core.http import errors_on, go_to
from e2i_site.core.partials import render_page
from registry.actions.break_glass import break_glass, review_break_glass
from registry.actions.emergency_stop import emergency_stop
from registry.choices import Stage
from registry.emergency_forms import BreakGlassForm, JudgeForm, StopForm
from registry.emergency_policies import may_break_glass, may_review_break_glass, may_stop
from registry.models import BreakGlass, Promotion, RegistryEntry
from registry.policies import gates_not_passed

if TYPE_CHECKING:
    from django.contrib.auth.models import User

METHODS = ["GET", "HEAD", "POST"]


@sensitive_post_parameters("password")
@login_required
@require_http_methods(METHODS)
def past_gates(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a promotion past its gates: what is bypassed, what is not, and what follows."""
    found = get_object_or_404(
        Promotion.objects.select_related("entry", "policy", "requester"), pk=pk
    )
    form = BreakGlassForm(request.POST or None, name=found.entry.model_id)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            break_glass(promotion=found, actor=_person(request), **form.cleaned_data)
        if not form.errors:
            messages.warning(request, "It goes past its gates. Two others have to judge it.")
            return go_to(request, found)
    missing = gates_not_passed(found.gates.all())
    names = ", ".join(gate.gate_id for gate in missing)
    context = {
        "title": f"Break-glass: {found.entry} to {found.to_stage}",
        "promotion": found,
        "missing": missing,
        "consequences": [
            f"{found.entry} goes to {found.to_stage} without the approvals that policy "
            f"{found.policy} asks for" + (f", and past these gates: {names}." if missing else "."),
            "It takes the same roll-out as any other: the files are checked by their digest, "
            "loaded and asked for their own example. No stage is skipped. If any of this fails, "
            "nothing changes.",
            "The promotion, the version and its deployment are marked for ever, here, in the API "
            "and in the trail.",
            "Approvers, auditors and administrators are told now.",
            "A P0 finding opens that nobody can waive. It closes when two others, who had no part "
            "in it, accept it with their signature.",
        ],
        "decision": may_break_glass(_person(request), found),
        "submit_label": "Go past the gates",
    }
    return _page(request, "registry/break_glass.html", found, form, context)


@sensitive_post_parameters("password")
@login_required
@require_http_methods(METHODS)
def judge(request: HttpRequest, pk: int) -> HttpResponse:
    """Say afterwards whether a break-glass was right."""
    broken = get_object_or_404(
        BreakGlass.objects.select_related("promotion__entry", "actor"), promotion=pk
    )
    form = JudgeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            review_break_glass(broken=broken, reviewer=_person(request), **form.cleaned_data)
        if not form.errors:
            messages.success(request, "It is on record with your signature.")
            return go_to(request, broken.promotion)
    reviews = list(broken.reviews.select_related("reviewer"))
    context = {
        "title": f"Judge the break-glass of {broken.promotion}",
        "broken": broken,
        "reviews": reviews,
        "consequences": [
            "Your judgement, reason and signature stay on record; you judge once.",
            "When two others have accepted it, its P0 finding closes.",
            "If you do not accept it, the finding stays open; roll the version back or have it "
            "archived.",
        ],
        "decision": may_review_break_glass(_person(request), broken, reviews),
        "submit_label": "Put on record",
        "tone": "primary",
    }
    return _page(request, "registry/judge_break_glass.html", broken.promotion, form, context)


@login_required
@require_http_methods(METHODS)
def stop(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Archive a version that serves or shadows, and stop its traffic at once."""
    entry = get_object_or_404(
        RegistryEntry.objects.select_related("model"), model__name=name, model_version=number
    )
    form = StopForm(request.POST or None, name=name)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            emergency_stop(entry=entry, actor=_person(request), **form.cleaned_data)
        if not form.errors:
            messages.warning(request, f"{entry} is stopped and archived.")
            return go_to(request, entry)
    context = {
        "title": f"Emergency stop of {entry}",
        "entry": entry,
        "consequences": _effect(entry),
        "roll_back_url": _roll_back_url(entry),
        "decision": may_stop(_person(request), entry),
        "submit_label": "Stop it now",
    }
    return _page(request, "registry/emergency_stop.html", entry, form, context)


def _effect(entry: RegistryEntry) -> list[str]:
    if entry.stage == Stage.SHADOW:
        return [
            "Within seconds the gateway mirrors no more requests to it; callers notice nothing.",
            "Its shadow window ends with what was measured so far.",
            f"{entry} is archived, and only a reviewed restore to staging leads it out again, no "
            "rollback. MLflow's alias shadow is removed.",
        ]
    return [
        f"Within seconds nothing answers for {entry.model_id}: callers get status 503 that says "
        "so, until another version is promoted.",
        f"{entry} is archived, and only a reviewed restore to staging leads it out again, no "
        "rollback. MLflow's alias production is removed.",
        "The version before it does not return by itself; a rollback is not possible afterwards.",
        "Deployers, approvers, auditors and administrators are told.",
    ]


def _roll_back_url(entry: RegistryEntry) -> str:
    """The page of the act to prefer, where there is a deployment to go back from."""
    if entry.stage != Stage.PRODUCTION:
        return ""
    # `deployments` is above this room: its rows are reached through the version.
    active = [each for each in entry.deployments.filter(status="active") if not each.is_shadow]
    return reverse("deployments:roll_back", args=[active[0].pk]) if active else ""


def _page(
    request: HttpRequest, template: str, subject: Any, form: Form, context: dict[str, Any]
) -> HttpResponse:
    whole = {"form": form, "back": subject.get_absolute_url(), "tone": "danger", **context}
    return render_page(request, template, whole, status=400 if form.errors else 200)


def _person(request: HttpRequest) -> User:
    return cast("User", request.user)
