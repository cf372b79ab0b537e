"""Experiments: the list, and one modelling question with what answers it so far."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from e2i_site.core.partials import render_page
from training import metrics, queries
from training.choices import UNFINISHED_RUN
from training.filters import ExperimentFilter
from training.models import Experiment
from training.policies import may_create_experiment
from training.views.run_table import default_columns, metric_names, run_table
from training.views.starts import starting

EXPERIMENTS_A_PAGE = 25
RUNS_SHOWN = 25
SELECTIONS_SHOWN = 10
VERSIONS_SHOWN = 20
METRICS_SHOWN = 2


@login_required
@require_safe
def experiments(request: HttpRequest) -> HttpResponse:
    """All experiments with their best runs."""
    filters = ExperimentFilter(request.GET, queryset=Experiment.objects.order_by("experiment_id"))
    page = Paginator(filters.qs, EXPERIMENTS_A_PAGE).get_page(request.GET.get("page"))
    keys = [each.pk for each in page.object_list]
    context = {
        "filter": filters,
        "page": page,
        "experiments": queries.experiment_summaries(Experiment.objects.filter(pk__in=keys)),
        "filtered": any(request.GET.get(name) for name in ExperimentFilter.base_filters),
        "may_create": may_create_experiment(request.user),
    }
    return render_page(request, "training/experiments.html", context)


@login_required
@require_safe
def experiment(request: HttpRequest, slug: str) -> HttpResponse:
    """One experiment: the question, its criteria against the best run, runs, models."""
    found = get_object_or_404(
        Experiment.objects.select_related("dataset", "created_by"), experiment_id=slug
    )
    best = queries.best_run(found)
    criteria = queries.judge_criteria(found, best)
    runs = list(queries.runs_for_list().filter(experiment=found).order_by("-pk")[: RUNS_SHOWN + 1])
    rows = [(run, metrics.values(run)) for run in runs[:RUNS_SHOWN]]
    columns = default_columns(metric_names(runs[:RUNS_SHOWN]))[:METRICS_SHOWN]
    context: dict[str, Any] = {
        "experiment": found,
        "best": best,
        "criteria": criteria,
        "headline": headline(best, criteria),
        **run_table(rows, columns),
        "more_runs": len(runs) > RUNS_SHOWN,
        "unfinished": [run for run in runs if run.status in UNFINISHED_RUN],
        "selections": list(found.selections.select_related("created_by")[:SELECTIONS_SHOWN]),
        "hidden_since": queries.hidden_since(found),
        "versions": list(
            found.entries.select_related("model")
            .defer("signature", "hyperparameters", "selection_rationale", "tags")
            .order_by("-registered_at", "-pk")[:VERSIONS_SHOWN]
        ),
        **starting(request, found),
    }
    return render_page(request, "training/experiment.html", context)


def headline(best: object | None, criteria: tuple[queries.Criterion, ...]) -> tuple[str, str, str]:
    """(tone, sentence, detail): does anything answer the question yet?"""
    if best is None:
        return "quiet", "No finished run yet.", "Start a selection to see which algorithm suits."
    if not criteria:
        return "quiet", "No success criteria are set.", "Nothing can be called good enough."
    met = sum(each.met is True for each in criteria)
    detail = "The best run is the one with the highest primary metric on validation."
    if met == len(criteria):
        all_of_them = "the success criterion" if met == 1 else f"all {met} success criteria"
        return "good", f"The best run meets {all_of_them}.", detail
    tone = "bad" if any(each.met is False for each in criteria) else "warn"
    return tone, f"The best run meets {met} of {len(criteria)} success criteria.", detail
