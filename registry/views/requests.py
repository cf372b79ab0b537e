"""Asking for a promotion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from e2i_site.core.http import errors_on, go_to, number_in
from e2i_site.core.partials import render_page
from registry import queries
from registry.actions.request_promotion import request_promotion
from registry.choices import RESTORES
from registry.forms import RequestForm
from registry.gates.evaluate import champion_of, measure
from registry.governing import governing_policy
from registry.models import Promotion, PromotionPolicy, RegisteredModel, RegistryEntry
from registry.policies import may_request, ways_on
from registry.views.gates import GateView, gate_view
from registry.views.moves import moves
from registry.views.policy_words import approvals_in_words

if TYPE_CHECKING:
    from django.contrib.auth.models import User

TEMPLATE = "registry/request.html"


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Ask to move ?model=…&version=… to ?to=…; without a version, choose one first."""
    entry = _entry(request)
    if entry is None:
        there = RegisteredModel.objects.filter(deleted_in_mlflow=False, hidden_since=None)
        names = there.values_list("name", flat=True)
        return render_page(request, TEMPLATE, {"names": names, "entry": None})
    if request.method == "POST":
        return _create(request, entry)
    to = request.GET.get("to", "")
    onward = ways_on(entry.stage)
    stage = to if to in onward else next(iter(onward), "")
    return _form(request, entry, RequestForm(entry=entry, initial={"to_stage": stage}), stage)


def _entry(request: HttpRequest) -> RegistryEntry | None:
    name, number = request.GET.get("model", ""), request.GET.get("version", "")
    if not name or not number:
        return None
    known = number_in(number)
    entry = queries.version(name, known).first() if known is not None else None
    if entry is None:
        raise Http404(f"There is no version {number} of {name}.")
    return entry


def _create(request: HttpRequest, entry: RegistryEntry) -> HttpResponse:
    form = RequestForm(request.POST, entry=entry)
    stage = request.POST.get("to_stage", "")
    promotion = None
    if form.is_valid():
        user: User = request.user  # type: ignore[assignment]
        with errors_on(form):
            promotion = request_promotion(entry=entry, requester=user, **form.cleaned_data)
    if promotion is None:
        return _form(request, entry, form, stage, status=400)
    messages.success(request, "Requested; its gates are evaluated below.")
    return go_to(request, promotion)


def _form(
    request: HttpRequest, entry: RegistryEntry, form: RequestForm, stage: str, status: int = 200
) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    governing = governing_policy(entry.model)
    policy = governing.policy
    context: dict[str, Any] = {
        "entry": entry,
        "model": entry.model,
        "form": form,
        "stage": stage,
        "policy": policy,
        "governing": governing,
        "rules": policy.for_stage(stage) if policy else None,
        "decision": may_request(user, entry, stage),
        "asked": Promotion.objects.open().filter(entry=entry, to_stage=stage).first(),
        "restores": stage in RESTORES.get(entry.stage, ()),
        "moves": moves(user, entry, stage),
        "gates": _dry_run(entry, stage, policy),
    }
    if context["rules"]:
        context["approvals"] = approvals_in_words(context["rules"])
    else:
        context["no_gates"] = "There are no rules, so there are no gates."
    return render_page(request, TEMPLATE, context, status=status)


def _dry_run(entry: RegistryEntry, stage: str, policy: PromotionPolicy | None) -> list[GateView]:
    """What the gates would say now; nothing is stored."""
    if policy is None or policy.for_stage(stage) is None:
        return []
    draft = Promotion(
        entry=entry,
        from_stage=entry.stage,
        to_stage=stage,
        policy=policy,
        artifact_digest=entry.artifact_digest,
        champion=champion_of(entry),
    )
    return [gate_view(result) for result in measure(draft)]
