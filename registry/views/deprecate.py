"""The page on which an administrator takes a version out of use for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from e2i_site.core.http import errors_on, go_to
from e2i_site.core.partials import render_page
from registry.actions.deprecate_version import deprecate_version
from registry.emergency_forms import SignedForm
from registry.models import RegistryEntry
from registry.policies import may_deprecate

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@sensitive_post_parameters("password")
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def deprecate(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """What follows from it, then reason and password."""
    entry = get_object_or_404(
        RegistryEntry.objects.select_related("model"), model__name=name, model_version=number
    )
    person, form = cast("User", request.user), SignedForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            deprecate_version(entry=entry, actor=person, **form.cleaned_data)
        if not form.errors:
            messages.success(request, f"{entry} is deprecated.")
            return go_to(request, entry)
    context = {
        "title": f"Deprecate {entry}",
        "entry": entry,
        "form": form,
        "consequences": [
            f"{entry} leaves {entry.stage} for good: no promotion and no rollback leads back.",
            "Its open requests are superseded, and MLflow's tag e2i.stage says deprecated.",
            "Its files, evidence and history stay.",
        ],
        "decision": may_deprecate(person, entry),
        "submit_label": "Deprecate it",
        "tone": "danger",
        "back": entry.get_absolute_url(),
    }
    return render_page(
        request, "registry/deprecate.html", context, status=400 if form.errors else 200
    )
