"""The review page: may this version go further? Reading, deciding, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from e2i_site.core.decision import Decision
from e2i_site.core.errors import Conflict, InvalidInput, Refused
from e2i_site.core.http import go_to
from e2i_site.core.partials import render_page
from e2i_site.jobs.models import Job
from e2i_site.trail.models import TrailEntry
from registry import queries
from registry.actions.assign_reviewers import assign_reviewers
from registry.actions.deadlines import expires_at
from registry.actions.refresh_gates import refresh_gates
from registry.actions.review_promotion import review_promotion
from registry.actions.withdraw_promotion import resubmit_promotion, withdraw_promotion
from registry.approvals import ApprovalRules
from registry.choices import UNDECIDED, PromotionState, ReviewDecision
from registry.comparison import Comparison, MetricRow, compare
from registry.forms import DecisionForm
from registry.headline import Headline, counting, headline
from registry.models import Promotion, Review, ReviewAssignment
from registry.policies import approval_rules, may_assign, may_review, may_sign
from registry.signature import SIGNED
from registry.views.changes import changes_since, snapshot
from registry.views.events import Event, discussion, trail_events
from registry.views.forest import Forest, with_forests
from registry.views.gates import GateView, Mark, gate_views, mark, words
from registry.views.options import Option, options

if TYPE_CHECKING:
    from django.contrib.auth.models import User

TEMPLATE = "registry/promotion.html"
_DONE = {
    ReviewDecision.APPROVE: "Approved; it is on record.",
    ReviewDecision.REJECT: "Rejected; it is on record.",
    ReviewDecision.REQUEST_CHANGES: "Changes requested; the requester has to answer.",
    ReviewDecision.COMMENT: "Comment added.",
    DecisionForm.WITHDRAW: "The request is withdrawn.",
    DecisionForm.RESUBMIT: "Back in review, with your answer.",
}


_JOB_TITLES = {
    "registry.carry_stage": "Aliases, tags, description and record in MLflow",
    "registry.fingerprint": "Digest of the model's files",
    "registry.measure_version": "Measurements of the version",
    "registry.sign_version": "Signature over the model's files",
}


@dataclass(frozen=True)
class JobView:
    """A piece of background work with words for it."""

    row: Job

    @property
    def title(self) -> str:
        known = _JOB_TITLES.get(self.row.kind)
        return known or words(self.row.kind.rpartition(".")[2])


@dataclass
class ReviewPage:
    """Everything the page and its refreshing part show, read once."""

    promotion: Promotion
    user: User

    @cached_property
    def gates(self) -> list[GateView]:
        return gate_views(self.promotion)

    @cached_property
    def reviews(self) -> list[Review]:
        return list(self.promotion.reviews.select_related("reviewer"))

    @cached_property
    def jobs(self) -> list[Job]:
        return queries.jobs_of(self.promotion, {each.endpoint_name for each in self.deployments})

    @cached_property
    def trail(self) -> list[TrailEntry]:
        return queries.trail_of(self.promotion)

    @property
    def discussion(self) -> list[Event]:
        return discussion(self.promotion, self.reviews)

    @property
    def history(self) -> list[Event]:
        return trail_events(self.trail)

    @property
    def metrics(self) -> list[tuple[MetricRow, Forest | None]]:
        return with_forests(self.comparison)

    @property
    def primary(self) -> MetricRow | None:
        """The metric that decides, where the version was measured on it."""
        rows = self.comparison.metrics
        return rows[0] if rows and rows[0].candidate else None

    @property
    def shadow(self) -> GateView | None:
        """The gate that holds the evidence measured in shadow, if the policy asks for one."""
        return next((gate for gate in self.gates if gate.plot), None)

    @property
    def job_views(self) -> list[JobView]:
        return [JobView(job) for job in self.jobs]

    @property
    def marks(self) -> list[Mark]:
        return [mark(gate.result) for gate in self.gates]

    @property
    def gates_that_block(self) -> list[GateView]:
        return [gate for gate in self.gates if not gate.result.dry_run]

    @property
    def gates_passed(self) -> int:
        return sum(gate.passed for gate in self.gates_that_block)

    @property
    def dry_runs(self) -> list[GateView]:
        return [gate for gate in self.gates if gate.result.dry_run]

    @property
    def dry_runs_passed(self) -> int:
        return sum(gate.passed for gate in self.dry_runs)

    @property
    def may_refresh(self) -> Decision:
        return may_review(self.user, self.promotion, ReviewDecision.COMMENT)

    @property
    def can_refresh(self) -> bool:
        """Decided promotions keep the evidence they were decided on."""
        return self.promotion.state in UNDECIDED

    @property
    def may_do_anything(self) -> bool:
        return any(option.decision for option in self.options)

    @property
    def may_sign(self) -> bool:
        """Whether a decision that is signed can be made here."""
        return any(option.decision for option in self.options if option.value in SIGNED)

    @property
    def needs_name(self) -> bool:
        """Whether only the missing full name keeps the user from deciding."""
        return self.promotion.state in UNDECIDED and bool(
            may_review(self.user, self.promotion, ReviewDecision.REJECT) and not may_sign(self.user)
        )

    @property
    def signatures(self) -> list[Review]:
        return [review for review in self.reviews if review.signature_hash]

    @cached_property
    def assignments(self) -> list[ReviewAssignment]:
        """Who is asked; it matters only until somebody has decided."""
        if not self.can_refresh:
            return []
        return list(self.promotion.assignments.select_related("person"))

    @property
    def assigned_names(self) -> str:
        return ", ".join(each.name for each in self.assignments)

    @property
    def may_assign(self) -> Decision:
        return may_assign(self.user, self.promotion)

    @property
    def expires_at(self) -> datetime | None:
        return expires_at(self.promotion)

    @cached_property
    def deployments(self) -> list[Any]:
        """What carries it out; nothing does before it is decided."""
        return [] if self.can_refresh else list(self.promotion.deployments.all())

    @cached_property
    def headline(self) -> Headline:
        return headline(self.promotion, self._results, self.reviews)

    @cached_property
    def comparison(self) -> Comparison:
        return compare(self.promotion.entry, self.promotion.champion)

    @cached_property
    def options(self) -> list[Option]:
        return options(self.user, self.promotion, self._results, self.reviews)

    @property
    def approvals(self) -> list[Review]:
        return counting(self.promotion, self.reviews)

    @property
    def rules(self) -> ApprovalRules:
        return approval_rules(self.promotion)

    @property
    def seen(self) -> dict[str, Any]:
        return snapshot(self.promotion, self._results, self.reviews, self.assigned_names)

    @property
    def unfinished(self) -> bool:
        """Whether machines still work on it; the page refreshes itself only then."""
        return (
            self.promotion.state == PromotionState.APPROVED
            or (self.promotion.is_open and self.promotion.gates_evaluated_at is None)
            or any(not job.is_finished for job in self.jobs)
        )

    def changes(self, seen: dict[str, Any]) -> list[str]:
        return changes_since(seen, self.promotion, self._results, self.reviews, self.assigned_names)

    @cached_property
    def _results(self) -> list[Any]:
        return [view.result for view in self.gates]


@sensitive_post_parameters("password")
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def promotion(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a promotion, or record what somebody decides on it."""
    if request.method == "POST":
        return _decide(request, pk)
    page = _page(request, pk)
    form = DecisionForm(initial={"revision": page.promotion.revision, "seen": page.seen})
    present = str(page.promotion.revision)
    seen = request.GET.get("revision", "")
    seen = seen if seen.isdecimal() else present
    outdated = seen != present
    return _render(request, page, form, outdated=outdated, seen_revision=seen)


@login_required
@require_POST
def reviewers(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose who is asked to review; names are separated by commas."""
    found = get_object_or_404(Promotion, pk=pk)
    # Nobody is called by a NUL, and PostgreSQL refuses to look.
    names = request.POST.get("reviewers", "")[:1000].replace("\x00", "\ufffd").split(",")
    try:
        assign_reviewers(promotion=found, names=names, actor=request.user)  # type: ignore[arg-type]
    except (InvalidInput, Refused) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "They are told; everybody sees who is asked.")
    return go_to(request, found)


@login_required
@require_POST
def refresh(request: HttpRequest, pk: int) -> HttpResponse:
    """Measure the gates again, for whoever may take part in the discussion."""
    page = _page(request, pk)
    decision = may_review(page.user, page.promotion, ReviewDecision.COMMENT)
    if not decision:
        messages.error(request, decision.reason)
        return go_to(request, page.promotion)
    before = page.seen
    refresh_gates(promotion=page.promotion)
    changes = _page(request, pk).changes(before)
    messages.info(request, " ".join(changes) or "Evaluated again; nothing changed.")
    return go_to(request, page.promotion)


def _page(request: HttpRequest, pk: int) -> ReviewPage:
    return ReviewPage(get_object_or_404(queries.promotion_with_everything(), pk=pk), request.user)  # type: ignore[arg-type]


def _decide(request: HttpRequest, pk: int) -> HttpResponse:
    form = DecisionForm(request.POST)
    found = get_object_or_404(Promotion, pk=pk)
    if not form.is_valid():
        return _render(request, _page(request, pk), form, status=400)
    try:
        _act(found, request.user, form.cleaned_data)  # type: ignore[arg-type]
    except InvalidInput as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return _render(request, _page(request, pk), form, status=400)
    except Refused as error:
        for reason in error.reasons:
            form.add_error("decision", reason)
        return _render(request, _page(request, pk), form, status=403)
    except Conflict as error:
        return _conflict(request, pk, form, error)
    messages.success(request, _DONE[form.cleaned_data["decision"]])
    return go_to(request, found)


def _act(found: Promotion, user: User, data: dict[str, Any]) -> None:
    decision, reason = data["decision"], data["reason"]
    if decision == DecisionForm.WITHDRAW:
        withdraw_promotion(promotion=found, actor=user, reason=reason)
    elif decision == DecisionForm.RESUBMIT:
        resubmit_promotion(promotion=found, actor=user, reason=reason)
    else:
        review_promotion(
            promotion=found,
            reviewer=user,
            decision=decision,
            reason=reason,
            revision=data["revision"],
            password=data["password"],
        )


def _conflict(request: HttpRequest, pk: int, form: DecisionForm, error: Conflict) -> HttpResponse:
    """Nothing was decided. The page shows what changed and keeps what was typed."""
    page = _page(request, pk)
    changes = page.changes(form.cleaned_data["seen"])
    fresh = {**form.data.dict(), "revision": page.promotion.revision, "seen": page.seen}  # type: ignore[attr-defined]
    again = DecisionForm(initial={**fresh, "decision": None})
    return _render(request, page, again, status=409, conflict=str(error), changes=changes)


def _render(
    request: HttpRequest, page: ReviewPage, form: DecisionForm, *, status: int = 200, **extra: Any
) -> HttpResponse:
    context = {
        "page": page,
        "promotion": page.promotion,
        "form": form,
        "seen_revision": page.promotion.revision,
        **extra,
    }
    return render_page(request, TEMPLATE, context, partials=("live",), status=status)
