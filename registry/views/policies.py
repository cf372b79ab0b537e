"""Promotion policies in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from e2i_site.core.partials import render_page
from registry.choices import Stage
from registry.gates.base import title
from registry.models import PromotionPolicy, RegisteredModel
from registry.views.gates import purpose, words


@dataclass(frozen=True)
class GateRule:
    title: str
    purpose: str
    limits: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class StageRules:
    """What a policy asks of promotions to one stage."""

    stage: Stage
    gates: tuple[GateRule, ...]
    approvals: str
    shadow: tuple[str, ...]


@login_required
@require_safe
def policies(request: HttpRequest) -> HttpResponse:
    """Every policy with its versions, and how many models each governs."""
    found = list(
        PromotionPolicy.objects.select_related("published_by").annotate(
            promotion_count=Count("promotions")
        )
    )
    governed = dict(
        RegisteredModel.objects.order_by().values_list("policy_name").annotate(Count("pk"))
    )
    names = dict.fromkeys(policy.name for policy in found)
    groups = [(name, [p for p in found if p.name == name], governed.get(name, 0)) for name in names]
    return render_page(request, "registry/policies.html", {"groups": groups})


@login_required
@require_safe
def policy(request: HttpRequest, name: str, version: int) -> HttpResponse:
    """One version of a policy, as sentences."""
    found = get_object_or_404(
        PromotionPolicy.objects.select_related("published_by"), name=name, version=version
    )
    siblings = PromotionPolicy.objects.filter(name=name).values_list("version", flat=True)
    versions = sorted(siblings, reverse=True)
    context = {
        "policy": found,
        "stages": list(rules_in_words(found)),
        "versions": versions,
        "newest": max(versions),
        "governed": RegisteredModel.objects.filter(policy_name=name).order_by("name")[:50],
    }
    return render_page(request, "registry/policy.html", context)


def rules_in_words(policy: PromotionPolicy) -> Iterable[StageRules]:
    """The rules of each stage the policy speaks of, in order of travel."""
    for stage in Stage:
        rules = policy.for_stage(stage)
        if rules is not None:
            yield StageRules(
                stage,
                tuple(_gate(each) for each in rules.get("gates", ())),
                approvals_in_words(rules.get("approvals") or {}),
                tuple(shadow_in_words(rules.get("shadow") or {})),
            )


def approvals_in_words(rules: Mapping[str, Any]) -> str:
    """{"count": 2, "roles": ["approver"]} as a sentence: "2 approvals by people …"."""
    count, roles = rules.get("count", 1), " or ".join(rules.get("roles", ["approver"]))
    who = "1 approval by somebody" if count == 1 else f"{count} approvals by people"
    return f"{who} with the role {roles} who neither requested it nor trained the version."


def shadow_in_words(limits: Mapping[str, Any]) -> Iterable[str]:
    """The frozen limits of a shadow window as sentences."""
    if not limits:
        return
    yield f"At least {limits['hours']:g} h in shadow and {limits['requests']:,} mirrored requests."
    yield f"Error rate below {100 * limits['error_rate']:g} %."
    yield f"99 % of requests answered within {limits['p99_ms']:g} ms."
    if limits.get("sequential"):
        yield (
            f"Both rates certified by a test that stays valid however often one looks; the chance "
            f"of a wrong pass is at most {100 * limits['alpha']:g} %."
        )
    else:
        yield "Only these floors count, without a bound on chance."


def _gate(specification: Mapping[str, Any]) -> GateRule:
    gate_id = str(specification.get("id", ""))
    limits = tuple(
        (words(name), ", ".join(map(str, value)) if isinstance(value, list) else value)
        for name, value in specification.items()
        if name != "id"
    )
    return GateRule(title(gate_id), purpose(gate_id), limits)
