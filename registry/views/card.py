"""The page on which people write a version's model card."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods

from e2i_site.core.http import errors_on, go_to
from e2i_site.core.partials import render_page
from registry.actions.write_card import write_card
from registry.card_form import CardForm
from registry.models import ModelCard, RegistryEntry
from registry.policies import may_write_card

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def card(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Every field of the card, with what it says now."""
    entry = get_object_or_404(
        RegistryEntry.objects.select_related("model", "card"),
        model__name=name,
        model_version=number,
    )
    person = cast("User", request.user)
    written: ModelCard | None = getattr(entry, "card", None)
    form = CardForm(request.POST) if request.method == "POST" else CardForm.about(written)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            write_card(
                entry=entry, content=form.content, seen=form.cleaned_data["seen"], actor=person
            )
        if not form.errors:
            messages.success(request, f"The model card of {entry} is written.")
            return go_to(request, entry)
    context = {
        "title": f"Model card of {entry}",
        "entry": entry,
        "form": form,
        "decision": may_write_card(person),
        "submit_label": "Write it",
        "back": entry.get_absolute_url(),
    }
    return render_page(request, "registry/card.html", context, status=400 if form.errors else 200)
