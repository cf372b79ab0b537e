"""Does every signed decision still say what was signed?"""

from __future__ import annotations

from collections.abc import Iterator

from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, Subject, SubjectOutcome, check
from registry.models import Review
from registry.signature import verified


@check(
    "5.3c",
    phase=5,
    title="The electronic signature of every decision verifies",
    remediation="The row was changed behind E2I's actions. The signed statement and the trail say "
    "what was decided: find who wrote to the database, and have the promotion reviewed again.",
    priority=Priority.P0,
)
def signatures_verify(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Row, signed statement and trail agree; decisions from before signatures are inconclusive."""
    for review, problems in verified():
        subject = _subject(review)
        evidence = {"signature": review.signature_hash}
        if not review.signature_hash:
            yield context.inconclusive(subject, "It was made before decisions were signed.")
        elif problems:
            yield context.failed(subject, " ".join(problems), evidence=evidence)
        else:
            yield context.passed(subject, evidence=evidence)


def _subject(review: Review) -> Subject:
    label = f"{review.get_decision_display()} by {review.signer_name or review.reviewer_id}"
    return Subject(
        Review._meta.label_lower,
        str(review.pk),
        f"{review.promotion}: {label}"[:300],
        review.promotion.get_absolute_url(),
    )
