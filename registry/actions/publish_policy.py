"""Publish a new version of a promotion policy, or choose which one governs a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction

from e2i_site.core.errors import InvalidInput
from e2i_site.trail.record import record
from registry import trail_events
from registry.document.schema import stage_problems
from registry.models import PromotionPolicy, RegisteredModel
from registry.policies import may_manage_policies

if TYPE_CHECKING:
    from django.contrib.auth.models import User


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
    if found := stage_problems(stages):
        raise InvalidInput(" ".join(map(str, found)), field="stages")
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
