"""Publish a new version of a promotion policy, or choose which one governs a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction

from e2i_site.core.errors import InvalidInput
from e2i_site.core.roles import Role
from e2i_site.trail.record import record
from registry import trail_events
from registry.choices import Stage
from registry.gates.base import all_gates
from registry.models import PromotionPolicy, RegisteredModel
from registry.policies import may_manage_policies

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SHADOW_LIMITS = ("hours", "requests", "error_rate", "p99_ms", "alpha", "sequential")


@transaction.atomic
def publish_policy(
    *,
    name: str,
    description: str,
    stages: Mapping[str, Any],
    actor: User,
    notice: str = "",
) -> PromotionPolicy:
    """Store a new, immutable version. Rules equal to the newest version's are not stored again.

    Raises `Refused`, or `InvalidInput` that names the stage and the rule at fault.
    """
    may_manage_policies(actor).enforce()
    for stage, rules in stages.items():
        _validate(stage, rules)
    newest = PromotionPolicy.objects.newest(name)
    if newest and newest.stages == dict(stages) and newest.notice == notice:
        return newest
    policy = PromotionPolicy.objects.create(
        name=name,
        version=newest.version + 1 if newest else 1,
        description=description,
        notice=notice,
        stages=dict(stages),
        published_by=actor,
    )
    record(
        trail_events.POLICY_PUBLISHED,
        actor=actor,
        subject=policy,
        old={"stages": newest.stages if newest else None},
        new={"stages": policy.stages},
        scope=f"policy:{name}",
    )
    return policy


@transaction.atomic
def assign_policy(*, model: RegisteredModel, policy_name: str, actor: User) -> RegisteredModel:
    """Govern the model's future promotions by `policy_name`; open ones keep theirs."""
    may_manage_policies(actor).enforce()
    if PromotionPolicy.objects.newest(policy_name) is None:
        raise InvalidInput(f"No policy is called {policy_name!r}.", field="policy_name")
    model = RegisteredModel.objects.select_for_update().get(pk=model.pk)
    if model.policy_name == policy_name:
        return model
    old, model.policy_name = model.policy_name, policy_name
    model.save(update_fields=["policy_name"])
    record(
        trail_events.POLICY_ASSIGNED,
        actor=actor,
        subject=model,
        old={"policy": old},
        new={"policy": policy_name},
    )
    return model


def _validate(stage: str, rules: Mapping[str, Any]) -> None:
    if stage not in Stage.values:
        raise InvalidInput(f"No stage is called {stage!r}.", field="stages")
    known = {gate.gate_id for gate in all_gates()}
    for gate in rules.get("gates", []):
        if gate.get("id") not in known:
            raise InvalidInput(f"{stage}: no gate is called {gate.get('id')!r}.", field="stages")
    approvals = rules.get("approvals", {})
    roles = approvals.get("roles", [])
    if not isinstance(approvals.get("count"), int) or approvals["count"] < 1:
        raise InvalidInput(f"{stage}: approvals.count must be 1 or more.", field="stages")
    if not roles or not set(roles) <= set(Role.values):
        raise InvalidInput(f"{stage}: approvals.roles must name known roles.", field="stages")
    limits = rules.get("shadow")
    if stage == Stage.PRODUCTION and (not limits or set(limits) != set(SHADOW_LIMITS)):
        raise InvalidInput(
            f"{stage}: shadow must give exactly {', '.join(SHADOW_LIMITS)}.", field="stages"
        )
