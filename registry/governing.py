"""Which policy governs a model, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from registry.models import PromotionPolicy, RegisteredModel

FALLBACK = "default"


@dataclass(frozen=True)
class Governing:
    """`policy` is the newest version of policy `name`; None when nobody published it."""

    name: str
    policy: PromotionPolicy | None
    why: str


def specificity(pattern: str) -> tuple[int, int]:
    """Orders patterns: the more literal characters the more specific, then the fewer stars."""
    wild = sum(pattern.count(sign) for sign in "*?[")
    return len(pattern) - wild, -wild


def claim(name: str, policies: Iterable[PromotionPolicy]) -> tuple[PromotionPolicy, str] | None:
    """The policy whose most specific pattern fits the model, with that pattern.

    Between equally specific patterns the first policy by name wins.
    """
    claims = [
        (specificity(pattern), policy, pattern)
        for policy in sorted(policies, key=lambda each: each.name)
        for pattern in policy.model_patterns
        if fnmatchcase(name, pattern)
    ]
    best = max(claims, key=lambda each: each[0], default=None)
    return (best[1], best[2]) if best else None


def newest_policies() -> list[PromotionPolicy]:
    """The newest version of every policy; 1 query."""
    newest = Window(RowNumber(), partition_by=F("name"), order_by=F("version").desc())
    return list(PromotionPolicy.objects.annotate(place=newest).filter(place=1).order_by("name"))


def governing_policy(model: RegisteredModel) -> Governing:
    """An administrator's choice, else the most specific pattern, else `default`; 1 query."""
    return governing_policies([model])[model.name]


def governing_policies(
    models: Sequence[RegisteredModel], proposed: PromotionPolicy | None = None
) -> Mapping[str, Governing]:
    """{model: what governs it}; 1 query whatever their number.

    With `proposed` (unsaved) as if it were the newest version of its policy.
    """
    policies = newest_policies()
    if proposed is not None:
        others = (each for each in policies if each.name != proposed.name)
        policies = sorted([*others, proposed], key=lambda each: each.name)
    by_name = {policy.name: policy for policy in policies}
    return {model.name: _governing(model, policies, by_name) for model in models}


def _governing(
    model: RegisteredModel,
    policies: Sequence[PromotionPolicy],
    by_name: Mapping[str, PromotionPolicy],
) -> Governing:
    if chosen := model.policy_name:
        return Governing(chosen, by_name.get(chosen), "an administrator chose it for this model")
    if found := claim(model.name, policies):
        policy, pattern = found
        return Governing(policy.name, policy, f"its pattern {pattern} fits the model's name")
    return Governing(FALLBACK, by_name.get(FALLBACK), "no other policy claims this model")
