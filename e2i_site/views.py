"""Home: the only page that spans the apps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from django.db.models import Count, Exists, OuterRef, Q, Window
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from deployments.queries import board
from e2i_site.audit.choices import Priority
from e2i_site.audit.models import Finding
from e2i_site.core.roles import Role, has_role
from e2i_site.status import SiteStatus, site_status
from e2i_site.trail import events
from e2i_site.trail.models import TrailEntry
from registry import queries
from registry.choices import PromotionState, ReviewDecision
from registry.emergency_policies import JUDGES, may_review_break_glass
from registry.models import BreakGlass, Promotion, Review
from registry.models.break_glass import ACCEPTANCES_NEEDED
from registry.views.gates import Mark, marks

if TYPE_CHECKING:
    from django.contrib.auth.models import User

FINDINGS_SHOWN = 6
PROMOTIONS_SHOWN = 8
ACTIVITY_SHOWN = 9
# The schedule audits every quarter of an hour; older than this, nobody watches.
AUDIT_STALE = timedelta(hours=1)


@dataclass(frozen=True)
class Waiting:
    """An open promotion in the person's list, and why it is there."""

    promotion: Promotion
    marks: list[Mark]
    why: str


@dataclass(frozen=True)
class Headline:
    """The answer to "is anything unsafe now?" in one sentence."""

    tone: str
    sentence: str
    detail: str = ""


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What waits for me, what is unsafe now, what serves where, what happened lately."""
    user = cast("User", request.user)
    status = site_status()
    opened = _open_promotions(user)
    waiting = [row for row in opened if row.why]
    judging = _to_judge(user)
    findings = _urgent_findings()
    rows = board()
    context = {
        "headline": headline(status, findings),
        "waiting": waiting[:PROMOTIONS_SHOWN],
        "judging": judging,
        "waiting_count": len(waiting) + len(judging),
        "open_count": len(opened),
        "decides": has_role(user, Role.REVIEWER, Role.APPROVER, Role.ADMINISTRATOR),
        "findings": findings,
        "findings_count": findings[0].urgent if findings else 0,  # type: ignore[attr-defined]
        "board": rows,
        "serving": sum(len(row.production) for row in rows),
        "shadowing": sum(len(row.shadow) for row in rows),
        "activity": _activity(),
        "status": status,
    }
    return render(request, "home.html", context)


def headline(status: SiteStatus, findings: Sequence[Finding]) -> Headline:
    """Unsafe things first, then an audit that is missing or old, then MLflow, then all clear."""
    unsafe = [each for each in findings if each.priority == Priority.P0]
    if unsafe:
        count = _of(_alike(unsafe), "thing is", "things are")
        return Headline("bad", f"{count} wrong or unsafe now.", unsafe[0].message)
    if findings:
        count = _of(_alike(findings), "finding", "findings")
        return Headline("bad", f"Evidence is missing: {count} of P1.", findings[0].message)
    if status.audited_at is None:
        return Headline(
            "warn", "No audit has ended yet, so nothing says that all is well.", "One runs soon."
        )
    if timezone.now() - status.audited_at > AUDIT_STALE:
        return Headline("warn", "The last audit is old.", "Check that the worker runs.")
    if status.breaker.blocked:
        return Headline(
            "warn",
            "MLflow does not answer.",
            "What serves goes on serving; what is to be written waits in order.",
        )
    return Headline("good", "Nothing is known to be unsafe: no open P0 or P1 finding.")


def _alike(findings: Sequence[Finding]) -> int:
    """How many open findings have this priority, shown or not."""
    return int(findings[0].alike)  # type: ignore[attr-defined]


def _of(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _open_promotions(user: User) -> list[Waiting]:
    """Open promotions, oldest first, with why each waits for `user`; two queries."""
    mine = Review.objects.filter(
        promotion=OuterRef("pk"),
        reviewer=user,
        decision=ReviewDecision.APPROVE,
        void_reason="",
    )
    found = queries.with_marks(queries.open_promotions()).annotate(approved_by_me=Exists(mine))
    return [
        Waiting(promotion, marks(promotion), _why(user, promotion))
        for promotion in found.order_by("pk")
    ]


def _why(user: User, promotion: Promotion) -> str:
    if promotion.requester_id == user.pk:
        answers = promotion.state == PromotionState.CHANGES_REQUESTED
        return "Changes are requested; you have to answer" if answers else ""
    approved: bool = promotion.approved_by_me  # type: ignore[attr-defined]
    if queries.needs_decision(user, promotion) and not approved:
        return "Needs your decision"
    return ""


def _to_judge(user: User) -> list[BreakGlass]:
    """Acts past the gates that `user` has to judge, oldest first; one query for who may."""
    if not has_role(user, *JUDGES):
        return []
    accepted = Count("reviews", filter=Q(reviews__accepted=True))
    acts = BreakGlass.objects.annotate(accepted=accepted).filter(accepted__lt=ACCEPTANCES_NEEDED)
    mine = BreakGlass.objects.filter(reviews__reviewer=user)
    unjudged = acts.exclude(pk__in=mine.values("pk")).select_related("promotion__entry", "actor")
    return [act for act in unjudged.order_by("pk") if may_review_break_glass(user, act, ())]


def _urgent_findings() -> list[Finding]:
    """The most urgent open P0 and P1 findings, each with `urgent`, how many there are in all, and
    `alike`, how many of its priority."""
    found = Finding.objects.open(timezone.now()).at_least(Priority.P1)
    counted = found.annotate(
        urgent=Window(Count("pk")), alike=Window(Count("pk"), partition_by="priority")
    )
    return list(counted.defer("evidence")[:FINDINGS_SHOWN])


def _activity() -> list[dict[str, object]]:
    """The newest entries of the trail, as the time line shows them."""
    entries = TrailEntry.objects.defer("changes").order_by("-id")[:ACTIVITY_SHOWN]
    return [
        {
            "at": entry.at,
            "actor": entry.actor_name,
            "title": f"{events.label(entry.event)}: {entry.subject_label}",
            "pk": entry.pk,
        }
        for entry in entries
    ]
