"""Was every promotion past its gates judged by two others?"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, Subject, SubjectOutcome, check
from e2i_site.trail.models import TrailEntry
from registry import trail_events
from registry.gates.evaluate import content_hash
from registry.models import BreakGlass, BreakGlassReview
from registry.models.break_glass import ACCEPTANCES_NEEDED

CHECK_ID = "4.3b"
_EVENTS = (trail_events.BREAK_GLASS, trail_events.BREAK_GLASS_REVIEWED)


@check(
    CHECK_ID,
    phase=4,
    title="Every break-glass promotion was accepted afterwards by two others",
    remediation="Open the promotion that went past its gates. Two people with the role approver, "
    "auditor or administrator, who had no part in it, say there whether it was right, with a "
    "reason and their signature. If it was not, roll the version back.",
    priority=Priority.P0,
    waivable=False,
)
def break_glass_is_reviewed(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Two signed acceptances by others, each with its trail entry."""
    acts = BreakGlass.objects.select_related("promotion__entry", "actor")
    recorded = _recorded()
    for act in acts.prefetch_related("reviews__reviewer"):
        subject = _subject(act)
        reviews = list(act.reviews.all())
        known = recorded.get(str(act.promotion_id), set())
        evidence = {
            "by": act.actor.get_username(),
            "reason": act.reason,
            "bypassed": act.bypassed,
            "reviews": [
                {"by": each.reviewer.get_username(), "accepted": each.accepted} for each in reviews
            ],
        }
        signed: list[BreakGlass | BreakGlassReview] = [act, *reviews]
        if broken := [each for each in signed if not _verifies(each, known)]:
            message = f"{len(broken)} of its signatures do not verify."
            yield context.failed(subject, message, evidence=evidence)
        elif act.is_closed:
            yield context.passed(subject, "Two others accepted it.", evidence=evidence)
        else:
            message = (
                f"{act.signer_name} let {act.promotion} past its gates; "
                f"accepted by {act.acceptances} of "
                f"{ACCEPTANCES_NEEDED} others."
            )
            yield context.failed(subject, message, evidence=evidence)


def _subject(act: BreakGlass) -> Subject:
    """The version, so that its page shows the finding and its next promotion waits for it."""
    subject = Subject.of(act.promotion.entry)
    return replace(subject, url=act.promotion.get_absolute_url())


def _verifies(row: BreakGlass | BreakGlassReview, recorded: set[str]) -> bool:
    """The statement has its hash, the row says the same, and the trail holds it."""
    statement = row.statement
    return (
        content_hash(statement) == row.signature_hash
        and row.signature_hash in recorded
        and statement.get("reason") == row.reason
        and statement.get("name") == row.signer_name
        and statement.get("accepted", True) == getattr(row, "accepted", True)
    )


def _recorded() -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    rows = TrailEntry.objects.filter(event__in=_EVENTS)
    for key, text in rows.values_list("subject_id", "changes").iterator(2000):
        found[key].add(json.loads(text)["new"].get("signature", ""))
    return found
