"""Asking a question, starting a selection, starting a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods

from e2i_site.core.http import errors_on, go_to
from e2i_site.core.partials import render_page
from training.actions.create_experiment import create_experiment
from training.actions.request_selection import request_selection
from training.actions.request_training import latest_selection, request_training
from training.forms import ExperimentForm, SelectionForm, TrainingForm
from training.models import Dataset, Experiment
from training.policies import (
    may_create_experiment,
    may_request_selection,
    may_request_training,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_experiment(request: HttpRequest) -> HttpResponse:
    """Ask a modelling question on a data set; ?dataset=ID chooses it."""
    form = ExperimentForm(request.POST or None, initial={"dataset": request.GET.get("dataset")})
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            found = create_experiment(actor=_person(request), **form.act())
        if not form.errors:
            messages.success(request, "Asked. Next, see which algorithm suits it.")
            return go_to(request, found)
    context = {
        "form": form,
        "decision": may_create_experiment(_person(request)),
        "has_datasets": Dataset.objects.exists(),
    }
    return _page(request, "training/experiment_new.html", context, form)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def select(request: HttpRequest, slug: str) -> HttpResponse:
    """Start a selection for an experiment."""
    experiment = _experiment(slug)
    form = SelectionForm(request.POST or None, experiment=experiment)
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            found = request_selection(actor=_person(request), experiment=experiment, **form.act())
        if not form.errors:
            messages.success(request, "The selection is queued.")
            return go_to(request, found)
    context = {
        "form": form,
        "experiment": experiment,
        "decision": may_request_selection(_person(request), experiment),
    }
    return _page(request, "training/select.html", context, form)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def train(request: HttpRequest, slug: str) -> HttpResponse:
    """Start a training for an experiment; ?algorithm=… chooses what to train."""
    experiment = _experiment(slug)
    selection = latest_selection(experiment)
    form = TrainingForm(
        request.POST or None,
        experiment=experiment,
        selection=selection,
        initial={"algorithm": request.GET.get("algorithm", "")},
    )
    if request.method == "POST" and form.is_valid():
        with errors_on(form):
            found = request_training(actor=_person(request), experiment=experiment, **form.act())
        if not form.errors:
            messages.success(request, "The training is queued.")
            return go_to(request, found)
    context = {
        "form": form,
        "experiment": experiment,
        "selection": selection,
        "decision": may_request_training(_person(request), experiment),
    }
    return _page(request, "training/train.html", context, form)


def starting(request: HttpRequest, experiment: Experiment) -> dict[str, Any]:
    """What the person may start, for buttons that say why not."""
    return {
        "may_select": may_request_selection(_person(request), experiment),
        "may_train": may_request_training(_person(request), experiment),
    }


def _experiment(slug: str) -> Experiment:
    return get_object_or_404(Experiment.objects.select_related("dataset"), experiment_id=slug)


def _person(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]


def _page(request: HttpRequest, template: str, context: dict[str, Any], form: Any) -> HttpResponse:
    return render_page(request, template, context, status=400 if form.errors else 200)
