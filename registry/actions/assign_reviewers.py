"""Ask certain people or groups to review a promotion."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import Group, User
from django.db import transaction

from e2i_site.core.errors import InvalidInput
from e2i_site.trail.record import record
from registry import trail_events
from registry.actions import tell
from registry.choices import ReviewDecision
from registry.locks import lock_model
from registry.models import Promotion, ReviewAssignment
from registry.policies import may_assign, may_decide_groups, may_review

MOST = 20


@transaction.atomic
def assign_reviewers(*, promotion: Promotion, names: Sequence[str], actor: User) -> Promotion:
    """Make `names`, of people or groups, those who are asked; nobody else is asked any more.

    Whoever the policy lets decide still may. Raises `Refused`, or `InvalidInput` for a name that
    is unknown or that could not decide.
    """
    lock_model(promotion.entry.model_id)
    promotion = (
        Promotion.objects.select_for_update(of=("self",))
        .select_related("entry", "policy", "requester")
        .get(pk=promotion.pk)
    )
    may_assign(actor, promotion).enforce()
    wanted = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if len(wanted) > MOST:
        raise InvalidInput(f"At most {MOST} people or groups can be asked.", field="reviewers")
    people, groups = _people(wanted), _groups(wanted)
    _refuse_unfit(promotion, wanted, people, groups)
    present = {each.name: each for each in promotion.assignments.select_related("person")}
    if set(present) == set(wanted):
        return promotion
    gone = [each.pk for name, each in present.items() if name not in wanted]
    ReviewAssignment.objects.filter(pk__in=gone).delete()
    new = [name for name in wanted if name not in present]
    for name in new:
        ReviewAssignment.objects.create(
            promotion=promotion,
            person=people.get(name),
            group="" if name in people else name,
            assigned_by=actor,
        )
    promotion.revision += 1
    promotion.save(update_fields=["revision"])
    record(
        trail_events.REVIEWERS_ASSIGNED,
        actor=actor,
        subject=promotion,
        old={"reviewers": sorted(present)},
        new={"reviewers": sorted(wanted)},
    )
    tell.assigned(
        promotion,
        people=[people[name] for name in new if name in people],
        groups=[name for name in new if name not in people],
        actor=actor,
    )
    return promotion


def _people(names: Sequence[str]) -> dict[str, User]:
    found = User.objects.filter(username__in=names, is_active=True)
    return {user.get_username(): user for user in found}


def _groups(names: Sequence[str]) -> set[str]:
    return set(Group.objects.filter(name__in=names).values_list("name", flat=True))


def _refuse_unfit(
    promotion: Promotion, names: Sequence[str], people: dict[str, User], groups: set[str]
) -> None:
    deciding = set(may_decide_groups(promotion))
    for name in names:
        if name in people:
            decision = may_review(people[name], promotion, ReviewDecision.REJECT)
            if not decision:
                raise InvalidInput(f"{name} cannot decide this promotion.", field="reviewers")
        elif name not in groups:
            raise InvalidInput(f"Nobody and no group is called {name}.", field="reviewers")
        elif name not in deciding:
            raise InvalidInput(
                f"The policy asks for {' or '.join(sorted(deciding))}, not for the group {name}.",
                field="reviewers",
            )
