"""Which policy governs a model, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from typing import Protocol

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


class Claims:
    """Which policy's most specific pattern fits a model's name.

    Between equally specific patterns the first policy by name wins.
    """

    def __init__(self, policies: Iterable[PromotionPolicy]) -> None:
        patterns = [
            (pattern, policy)
            for policy in sorted(policies, key=lambda each: each.name)
            for pattern in policy.model_patterns
        ]
        patterns.sort(key=lambda each: specificity(each[0]), reverse=True)
        self._patterns = [
            (re.compile(translate(pattern)).match, policy, pattern) for pattern, policy in patterns
        ]

    def of(self, name: str) -> tuple[PromotionPolicy, str] | None:
        """The policy, with the pattern that fits; None when none does."""
        fitting = ((policy, pattern) for fits, policy, pattern in self._patterns if fits(name))
        return next(fitting, None)


def newest_policies() -> list[PromotionPolicy]:
    """The newest version of every policy; 1 query."""
    newest = Window(RowNumber(), partition_by=F("name"), order_by=F("version").desc())
    return list(PromotionPolicy.objects.annotate(place=newest).filter(place=1).order_by("name"))


def governing_policy(model: RegisteredModel) -> Governing:
    """An administrator's choice, else the most specific pattern, else `default`; 1 query."""
    return governing_policies([model])[model.name]


class Named(Protocol):
    """A model, or a row of its name and an administrator's choice."""

    @property
    def name(self) -> str: ...
    @property
    def policy_name(self) -> str: ...


def governing_policies(
    models: Iterable[Named], proposed: PromotionPolicy | None = None
) -> Mapping[str, Governing]:
    """{model: what governs it}; 1 query whatever their number.

    With `proposed` (unsaved) as if it were the newest version of its policy.
    """
    policies = newest_policies()
    if proposed is not None:
        policies = [*(each for each in policies if each.name != proposed.name), proposed]
    by_name, claims = {policy.name: policy for policy in policies}, Claims(policies)
    return {model.name: _governing(model, claims, by_name) for model in models}


def governing_every_model(proposed: PromotionPolicy | None = None) -> Mapping[str, Governing]:
    """{model: what governs it} of all models, by name; 2 queries."""
    rows = RegisteredModel.objects.order_by("name").values_list("name", "policy_name", named=True)
    return governing_policies(rows, proposed)


def _governing(model: Named, claims: Claims, by_name: Mapping[str, PromotionPolicy]) -> Governing:
    if chosen := model.policy_name:
        return Governing(chosen, by_name.get(chosen), "an administrator chose it for this model")
    if found := claims.of(model.name):
        policy, pattern = found
        return Governing(policy.name, policy, f"its pattern {pattern} fits the model's name")
    return Governing(FALLBACK, by_name.get(FALLBACK), "no other policy claims this model")
