"""Promotion policies in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from e2i_site.core.decision import Decision
from e2i_site.core.http import number_in
from e2i_site.core.partials import render_page
from e2i_site.trail.models import TrailEntry
from registry import trail_events
from registry.document.diff import line_diff
from registry.document.write import source_of
from registry.governing import governing_every_model
from registry.models import PromotionPolicy
from registry.policies import may_replay
from registry.views.policy_words import changes_in_words, rules_in_words

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@login_required
@require_safe
def policies(request: HttpRequest) -> HttpResponse:
    """Every policy with its versions, and how many models each governs."""
    found = list(
        PromotionPolicy.objects.select_related("published_by")
        .annotate(promotion_count=Count("promotions"))
        # Grouping drops the model's own order.
        .order_by("name", "-version")
    )
    governed = Counter(each.name for each in governing_every_model().values())
    names = dict.fromkeys(policy.name for policy in found)
    groups = [(name, [p for p in found if p.name == name], governed[name]) for name in names]
    return render_page(request, "registry/policies.html", {"groups": groups, **_may_write(request)})


@login_required
@require_safe
def policy(request: HttpRequest, name: str, version: int) -> HttpResponse:
    """One version of a policy, as sentences."""
    found = get_object_or_404(
        PromotionPolicy.objects.select_related("published_by"), name=name, version=version
    )
    siblings = PromotionPolicy.objects.filter(name=name).defer("stages", "source")
    versions = list(siblings.order_by("-version"))
    governed = governing_every_model().items()
    context = {
        "policy": found,
        "stages": list(rules_in_words(found)),
        "versions": versions,
        "newest": versions[0].version,
        "published": _published(found),
        "governed": [(model, why) for model, why in governed if why.name == name],
        "editor": reverse("registry:policy_editor") + f"?from={name}&version={version}",
        "document": reverse("registry:policy_document", args=[name, version]),
        **_may_write(request),
    }
    return render_page(request, "registry/policy.html", context)


@login_required
@require_safe
def document(request: HttpRequest, name: str, version: int) -> HttpResponse:
    """The version as a YAML file."""
    found = get_object_or_404(PromotionPolicy, name=name, version=version)
    response = HttpResponse(source_of(found), content_type="application/yaml; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}-v{version}.yaml"'
    return response


@login_required
@require_safe
def compare(request: HttpRequest, name: str) -> HttpResponse:
    """What differs from version ?from= to version ?to=; without them the newest two."""
    versions = {each.version: each for each in PromotionPolicy.objects.filter(name=name)}
    if not versions:
        raise Http404(f"No policy is called {name}.")
    new = _chosen(request, "to", versions, max(versions))
    old = _chosen(request, "from", versions, max(new.version - 1, 1))
    context = {
        "name": name,
        "versions": versions.values(),
        "old": old,
        "new": new,
        "lines": line_diff(source_of(old), source_of(new)),
        "changes": changes_in_words(old, new),
    }
    return render_page(request, "registry/policy_compare.html", context)


def _chosen(
    request: HttpRequest, key: str, versions: Mapping[int, PromotionPolicy], default: int
) -> PromotionPolicy:
    asked = request.GET.get(key, "")
    number = number_in(asked) if asked.isdecimal() else default
    if number is None or number not in versions:
        raise Http404(f"There is no version {asked[:20] or default} of this policy.")
    return versions[number]


def _published(policy: PromotionPolicy) -> TrailEntry | None:
    """The trail's entry of its publication; 1 query."""
    about = {"subject_type": policy._meta.label_lower, "subject_id": str(policy.pk)}
    return TrailEntry.objects.filter(event=trail_events.POLICY_PUBLISHED, **about).first()


def _may_write(request: HttpRequest) -> dict[str, Decision]:
    """The editor is open to whoever may replay what is in it."""
    return {"may_write": may_replay(cast("User", request.user))}
