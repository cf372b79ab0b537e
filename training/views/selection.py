"""One selection: which algorithm, and why this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from e2i_site.core.partials import render_page
from training import metrics, queries
from training.choices import UNFINISHED_RUN, CandidateOutcome, CandidateRole, RunStatus
from training.models import Candidate, Selection
from training.steps import SELECTION_STEPS
from training.views.run import (
    cancel_and_return,
    cancelling,
    log_tail,
    mlflow_url,
    progress,
    waits_for_mlflow,
)
from training.views.starts import starting

# Parts of the selection score, in the order of their weights.
PARTS = {
    "history": "History",
    "latency": "Latency",
    "memory": "Memory",
    "interpretability": "Interpretability",
    "preference": "Preference",
    "causal": "Causal",
    "scalability": "Scale",
}


@dataclass(frozen=True)
class CandidateRow:
    """A candidate with the parts of its score in the order of the table's columns."""

    candidate: Candidate
    parts: tuple[tuple[str, float | None], ...]

    @property
    def memory(self) -> str:
        """The fitted model's size, in the unit that suits it."""
        size = self.candidate.memory_gb
        if size is None:
            return "–"
        for unit, scale in (("GB", 1.0), ("MB", 1e-3)):
            if size >= scale:
                return f"{size / scale:.3g} {unit}"
        return f"{size * 1e6:.3g} kB"

    @property
    def won(self) -> bool:
        return self.candidate.outcome == CandidateOutcome.SELECTED


@login_required
@require_safe
def selection(request: HttpRequest, pk: int) -> HttpResponse:
    """The selection's page; live while it is under way."""
    found = get_object_or_404(queries.selection_for_page(pk))
    unfinished = found.status in UNFINISHED_RUN
    polls = request.htmx and request.htmx.target == "live"  # type: ignore[attr-defined]
    if polls and not unfinished:
        return HttpResponseClientRefresh()
    attempts = queries.attempts(found.nodes.all(), tuple(SELECTION_STEPS), expects_more=unfinished)
    context: dict[str, Any] = {
        "selection": found,
        "unfinished": unfinished,
        "job": found.job,
        "log": log_tail(found.job),
        "may_cancel": cancelling(request, found.job),
        "attempts": attempts,
        "progress": progress(attempts),
        "waits_for_mlflow": waits_for_mlflow(found),
    }
    if not polls:
        context |= _results(found) | starting(request, found.experiment)
    return render_page(request, "training/selection.html", context, partials=("live",))


def _results(found: Selection) -> dict[str, Any]:
    candidates = list(found.candidates.all())
    parts = [name for name in PARTS if any(name in c.score_parts for c in candidates)]
    rows = [
        CandidateRow(
            candidate=each,
            parts=tuple((PARTS[name], each.score_parts.get(name)) for name in parts),
        )
        for each in candidates
    ]
    ranked = [row for row in rows if row.candidate.role == CandidateRole.CANDIDATE]
    baselines = [row for row in rows if row.candidate.role != CandidateRole.CANDIDATE]
    return {
        "parts": [PARTS[name] for name in parts],
        "candidates": [row for row in ranked if row.candidate.outcome != CandidateOutcome.EXCLUDED],
        "excluded": [row for row in ranked if row.candidate.outcome == CandidateOutcome.EXCLUDED],
        "baselines": baselines,
        "width": len(parts) + 7,
        "fold_rows": [row for row in (*ranked, *baselines) if row.candidate.fold_scores],
        "fold_numbers": range(1, max((len(c.fold_scores) for c in candidates), default=0) + 1),
        "history": sorted(found.history.items()),
        "metric_label": metrics.label(found.metric) if found.metric else "Benchmark",
        "rationale": found.rationale,
        "alternatives": [
            {**each, "difference": _difference(each.get("score_difference"))}
            for each in found.rationale.get("alternatives") or ()
        ],
        "compliance": sorted((found.rationale.get("constraint_compliance") or {}).items()),
        "constraints": limits(found.constraints),
        "headline": headline(found),
        "mlflow_url": mlflow_url(found),
        "runs": list(found.training_runs.defer("evaluation", "params", "tags")[:20]),
    }


def _difference(score: float | None) -> str:
    return "no score" if score is None else f"{score:+.3f}".replace("-", "−")


def limits(constraints: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The constraints that were asked for, in words."""
    shown = [
        ("Latency for one row", "max_latency_ms", "at most {:g} ms"),
        ("Memory", "max_memory_gb", "at most {:g} GB"),
        ("Interpretability", "minimum_interpretability", "at least {:g}"),
    ]
    found = [
        (label, words.format(constraints[name]))
        for label, name, words in shown
        if constraints.get(name) is not None
    ]
    for label, name in (("Excluded", "exclude"), ("Preferred", "preferred")):
        if constraints.get(name):
            found.append((label, ", ".join(constraints[name])))
    if constraints.get("causal_required"):
        found.append(("Causal effects", "required"))
    return found


def headline(found: Selection) -> tuple[str, str, str] | None:
    """(tone, sentence, detail) that says what was chosen; None while it is under way."""
    if found.status in UNFINISHED_RUN:
        return None
    if found.status == RunStatus.FINISHED and found.selected_algorithm:
        reason = str(found.rationale.get("primary_reason") or "")
        return "good", f"{found.selected_algorithm} is selected.", reason
    if found.status == RunStatus.KILLED:
        return "warn", "The selection was stopped before its end.", found.error_message
    return "bad", "Nothing was selected.", found.error_message


@login_required
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the selection's job to stop."""
    found = get_object_or_404(Selection.objects.select_related("job"), pk=pk)
    return cancel_and_return(request, found)
