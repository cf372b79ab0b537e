"""Let a promotion past its gates in an emergency, and judge that afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from e2i_site.core.errors import InvalidInput
from e2i_site.core.roles import Role
from e2i_site.jobs.enqueue import enqueue
from e2i_site.notifications.notify import notify
from e2i_site.trail.record import record
from registry import notification_events, rollouts, trail_events
from registry.actions.apply_promotion import apply_promotion
from registry.actions.prove_identity import prove_identity
from registry.actions.refresh_gates import refresh_gates
from registry.choices import SERVED_STAGES, PromotionState
from registry.emergency_policies import may_break_glass, may_review_break_glass, reason_fits
from registry.gates.evaluate import content_hash
from registry.locks import lock_model
from registry.models import (
    BreakGlass,
    BreakGlassReview,
    Promotion,
    RegistryEntry,
)
from registry.policies import gates_not_passed
from registry.risk import risk_of
from registry.statement import statement

if TYPE_CHECKING:
    from django.contrib.auth.models import User

TOLD = (Role.APPROVER, Role.AUDITOR, Role.ADMINISTRATOR)


@sensitive_variables("password")
def break_glass(
    *, promotion: Promotion, actor: User, reason: str, confirmation: str, password: str = ""
) -> Promotion:
    """Approve `promotion` although its gates or approvals are missing, and carry it out.

    `confirmation` is the model's name as typed; `password` the actor's, typed at this moment.
    Served stages go through the same roll-out as any other: bytes checked by their digest, loaded,
    health checked. Raises Refused, or InvalidInput for what was typed.
    """
    if confirmation.strip() != promotion.entry.model_id:
        raise InvalidInput("Type the model's name exactly.", field="confirmation")
    if not (fits := reason_fits(reason)):
        raise InvalidInput(fits.reason, field="reason")
    may_break_glass(actor, promotion).enforce()
    prove_identity(user=actor, password=password, subject=promotion)
    # Committed on its own: what is bypassed is what the gates say now.
    refresh_gates(promotion=promotion)
    with transaction.atomic():
        lock_model(promotion.entry.model_id)
        entry = RegistryEntry.objects.select_for_update(of=("self",)).get(pk=promotion.entry_id)
        promotion = (
            Promotion.objects.select_for_update(of=("self",))
            .select_related("policy", "requester", "champion")
            .get(pk=promotion.pk)
        )
        promotion.entry = entry
        may_break_glass(actor, promotion).enforce()
        broken = _write(promotion, actor, reason.strip())
        promotion.state = PromotionState.APPROVED
        promotion.state_reason = ""
        promotion.past_gates = True
        promotion.decided_at = broken.at
        promotion.risk, promotion.risk_reasons = risk_of(promotion, promotion.gates.all())
        promotion.save(
            update_fields=[
                "state",
                "state_reason",
                "past_gates",
                "risk",
                "risk_reasons",
                "decided_at",
            ]
        )
        RegistryEntry.objects.filter(pk=entry.pk).update(past_gates=True)
        _tell(broken)
        ask_for_audit(actor=actor)
        if promotion.to_stage in SERVED_STAGES:
            rollouts.begin(promotion)
        else:
            apply_promotion(promotion=promotion, actor=actor)
    promotion.refresh_from_db()
    return promotion


@sensitive_variables("password")
def review_break_glass(
    *, broken: BreakGlass, reviewer: User, accepted: bool, reason: str, password: str = ""
) -> BreakGlassReview:
    """Say, signed, whether it was right. Two acceptances by others close its finding.

    Raises Refused, or InvalidInput for what was typed.
    """
    if not (fits := reason_fits(reason)):
        raise InvalidInput(fits.reason, field="reason")
    may_review_break_glass(reviewer, broken, broken.reviews.all()).enforce()
    prove_identity(user=reviewer, password=password, subject=broken.promotion)
    with transaction.atomic():
        # Locked, so that one person's two clicks are one review.
        broken = (
            BreakGlass.objects.select_for_update(of=("self",))
            .select_related("promotion__entry")
            .get(pk=broken.pk)
        )
        may_review_break_glass(reviewer, broken, broken.reviews.all()).enforce()
        verb = "accept" if accepted else "do not accept"
        review = BreakGlassReview(
            break_glass=broken,
            reviewer=reviewer,
            accepted=accepted,
            reason=reason.strip(),
            meaning=f"I {verb} that {broken.promotion} went past its gates.",
        )
        _sign(review, reviewer, {"break_glass": broken.signature_hash, "accepted": accepted})
        review.save()
        record(
            trail_events.BREAK_GLASS_REVIEWED,
            actor=reviewer,
            subject=broken.promotion,
            new={
                "accepted": accepted,
                "acceptances": broken.acceptances,
                "signature": review.signature_hash,
            },
            reason=review.reason,
        )
        ask_for_audit(actor=reviewer)
    return review


def ask_for_audit(*, actor: User) -> None:
    """Have the finding opened or closed now, not at the next round of the audit."""
    enqueue("registry.audit_break_glass", actor=actor, key="audit_break_glass")


def _write(promotion: Promotion, actor: User, reason: str) -> BreakGlass:
    bypassed = [
        {"gate": gate.gate_id, "outcome": gate.outcome, "summary": gate.summary}
        for gate in gates_not_passed(promotion.gates.all())
    ]
    broken = BreakGlass(
        promotion=promotion,
        actor=actor,
        reason=reason,
        bypassed=bypassed,
        meaning=f"I let {promotion} past its gates and approvals, and answer for it.",
    )
    facts = {
        "promotion": promotion.pk,
        "digest": promotion.entry.artifact_digest,
        "policy": str(promotion.policy),
        "binding_hash": promotion.binding_hash,
        "bypassed": bypassed,
    }
    _sign(broken, actor, facts)
    broken.save()
    record(
        trail_events.BREAK_GLASS,
        actor=actor,
        subject=promotion,
        old={"state": promotion.state},
        new={**facts, "signature": broken.signature_hash},
        reason=reason,
    )
    return broken


def _sign(row: BreakGlass | BreakGlassReview, signer: User, facts: dict[str, Any]) -> None:
    """Fill in the signature of an unsaved row; the signer's identity was proven before."""
    row.signer_name = signer.get_full_name()
    row.at = timezone.now()
    row.statement = statement(
        facts, signer=signer, meaning=row.meaning, reason=row.reason, at=row.at
    )
    row.signature_hash = content_hash(row.statement)


def _tell(broken: BreakGlass) -> None:
    promotion = broken.promotion
    names = ", ".join(each["gate"] for each in broken.bypassed) or "none; approvals only"
    notify(
        notification_events.BREAK_GLASS,
        subject=promotion,
        title=f"Break-glass: {promotion}",
        text=f"{broken.signer_name} let it past its gates. Not passed: {names}.\n\n"
        f"{broken.reason}\n\nTwo others have to judge it.",
        recipients=[promotion.requester],
        audience=TOLD,
        actor=broken.actor,
    )
