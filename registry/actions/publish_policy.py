"""Publish a new version of a promotion policy, or choose which one governs a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from e2i_site.core.errors import Conflict, InvalidInput
from e2i_site.trail.record import record
from registry import trail_events
from registry.actions.prove_identity import prove_identity
from registry.document.read import Document, read
from registry.gates.evaluate import content_hash
from registry.models import PromotionPolicy, RegisteredModel
from registry.policies import may_manage_policies
from registry.statement import statement

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@sensitive_variables("password")
def publish_in_person(
    *, source: str, reason: str, seen: int, password: str, actor: User
) -> PromotionPolicy:
    """Publish a document that `actor` compared with version `seen` (0: none), signed by password.

    Raises `Conflict` when somebody published another version since, when nothing differs, and
    what `publish_policy` raises.
    """
    document = _accepted(source, reason, actor)
    newest = PromotionPolicy.objects.newest(document.name)
    _refuse_unseen(document, newest, seen)
    prove_identity(user=actor, password=password, subject=newest or actor)
    with transaction.atomic():
        newest = PromotionPolicy.objects.newest(document.name)
        _refuse_unseen(document, newest, seen)
        return _store(document, newest, reason.strip(), actor, signed=True)


@transaction.atomic
def publish_policy(*, source: str, reason: str, actor: User) -> PromotionPolicy:
    """Store a document as a new, immutable version; the newest one when nothing differs.

    A document differs by its rules, models and words, not by comments or layout. Promotions that
    are decided keep their version. Raises `Refused`, `DocumentInvalid` that names every problem
    with its line, `InvalidInput` without a reason, and `Conflict` when somebody was faster.
    """
    document = _accepted(source, reason, actor)
    newest = PromotionPolicy.objects.newest(document.name)
    if newest is not None and newest.content == document.content:
        return newest
    return _store(document, newest, reason.strip(), actor, signed=False)


def _accepted(source: str, reason: str, actor: User) -> Document:
    may_manage_policies(actor).enforce()
    document = read(source)
    if not reason.strip():
        raise InvalidInput("Say why the policy changes; it goes on record.", field="reason")
    return document


def _store(
    document: Document, newest: PromotionPolicy | None, reason: str, actor: User, *, signed: bool
) -> PromotionPolicy:
    try:
        with transaction.atomic():
            policy = PromotionPolicy.objects.create(
                name=document.name,
                version=newest.version + 1 if newest else 1,
                source=document.source,
                reason=reason,
                published_by=actor,
                **document.content,
            )
    except IntegrityError:
        raise Conflict(f"Somebody else published {document.name} just now. Look again.") from None
    source_hash = content_hash(policy.source)
    signature = _signature(policy, source_hash, actor) if signed else {}
    record(
        trail_events.POLICY_PUBLISHED,
        actor=actor,
        subject=policy,
        old=newest.content if newest else {},
        new={**policy.content, "source_sha256": source_hash, **signature},
        reason=reason,
        scope=f"policy:{policy.name}",
    )
    return policy


def _signature(policy: PromotionPolicy, source_hash: str, signer: User) -> dict[str, Any]:
    """The signed statement, as the trail keeps it."""
    said = statement(
        {"policy": policy.name, "version": policy.version, "source_sha256": source_hash},
        signer=signer, meaning=f"I publish {policy}.", reason=policy.reason, at=timezone.now(),
    )  # fmt: skip
    return {"statement": said, "signature": content_hash(said)}


def _refuse_unseen(document: Document, newest: PromotionPolicy | None, seen: int) -> None:
    present = newest.version if newest else 0
    if present != seen:
        compared = f"version {seen}" if seen else "none"
        raise Conflict(
            f"The newest version of {document.name} is {present} by now; you compared with "
            f"{compared}. Look at the difference again, then publish."
        )
    if newest is not None and newest.content == document.content:
        raise Conflict(f"It says what {newest} says; there is nothing to publish.")


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
