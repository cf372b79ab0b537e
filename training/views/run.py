"""One training run: live while it is under way, then everything that it found out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from e2i_site.activity.models import MlflowEvent
from e2i_site.core.decision import Decision, refuse
from e2i_site.core.http import go_to
from e2i_site.core.partials import render_page
from e2i_site.jobs.actions.cancel import cancel as cancel_job
from e2i_site.jobs.models import Job
from e2i_site.jobs.policies import may_cancel
from training import metrics, queries
from training.choices import UNFINISHED_RUN, RunSource, RunStatus
from training.comparison import split_of
from training.models import DataQualityReport, Selection, TrainingRun
from training.queries import Attempt
from training.steps import TRAINING_STEPS
from training.views import evidence

if TYPE_CHECKING:
    from django.contrib.auth.models import User


LOG_LINES = 12
EVENTS = 10


@login_required
@require_safe
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """The run's page; htmx asks for its live part until the run ends, then for the whole page."""
    found = get_object_or_404(queries.run_for_page(pk))
    unfinished = found.status in UNFINISHED_RUN
    if _polls(request) and not unfinished:
        return HttpResponseClientRefresh()
    nodes = list(found.nodes.all())
    trials = evidence.trial_summary(found.trials.all())
    attempts = queries.attempts(nodes, tuple(TRAINING_STEPS), expects_more=unfinished)
    context: dict[str, Any] = {
        "run": found,
        "unfinished": unfinished,
        "job": found.job,
        "log": log_tail(found.job),
        "may_cancel": cancelling(request, found.job),
        "attempts": attempts,
        "progress": progress(attempts),
        "trials": trials,
        "hpo_chart": evidence.hpo_chart(trials.trials, found.primary_metric),
        "waits_for_mlflow": waits_for_mlflow(found),
    }
    if not _polls(request):
        context |= _results(found)
    return render_page(request, "training/run.html", context, partials=("live",))


def log_tail(job: Job | None) -> str:
    """The last lines that the job wrote."""
    return "\n".join(job.log.splitlines()[-LOG_LINES:]) if job else ""


def _polls(request: HttpRequest) -> bool:
    return bool(request.htmx and request.htmx.target == "live")  # type: ignore[attr-defined]


def _results(found: TrainingRun) -> dict[str, Any]:
    criteria = queries.judge_criteria(found.experiment, found) if found.experiment else ()
    estimates = {row.name: row for row in evidence.metric_rows(found)}
    return {
        "criteria": criteria,
        "metrics": list(estimates.values()),
        "primary": estimates.get(found.primary_metric),
        "mirrored": evidence.mirrored_metrics(found),
        "curves": evidence.curves(found),
        "auc": metrics.estimates(found).get("roc_auc"),
        "pr_auc": metrics.estimates(found).get("pr_auc"),
        "importance": (importance := evidence.importance(found)),
        "shown_importance": [pair for pair in importance[: evidence.MOST_FEATURES] if pair[1] > 0],
        "quality": quality_of(found),
        "split": split_of(found),
        "versions": list(found.entries.select_related("model")),
        "parameters": evidence.parameters(found),
        "mlflow_url": mlflow_url(found),
        "others": found.source == RunSource.MLFLOW,
        **_activity(found),
        "headline": headline(found, estimates.get(found.primary_metric), criteria),
    }


def _activity(found: TrainingRun) -> dict[str, Any]:
    """What others changed in the run after it had ended."""
    if not found.mlflow_run_id:
        return {}
    return {
        "activity": MlflowEvent.objects.about_run(found.mlflow_run_id)[:EVENTS],
        "activity_url": f"{reverse('activity:home')}?{urlencode({'run': found.mlflow_run_id})}",
    }


def quality_of(found: TrainingRun) -> DataQualityReport | None:
    """The QC gate's report; None before the gate ran."""
    report: DataQualityReport | None = getattr(found, "data_quality", None)
    return report


def waits_for_mlflow(found: TrainingRun | Selection) -> bool:
    """Whether something of a finished run is still to be written to MLflow."""
    ours = not isinstance(found, TrainingRun) or found.source == RunSource.E2I
    return ours and not found.mlflow_available and bool(found.journal_id)


def progress(attempts: list[Attempt]) -> dict[str, Any]:
    """How far the latest attempt is, in nodes, and what runs now."""
    if not attempts:
        return {"done": 0, "total": 0, "label": ""}
    latest = attempts[0]
    running = [step for step in latest.steps if step.state == "running"]
    return {
        "done": latest.done,
        "total": len(latest.steps),
        "label": running[-1].words if running else "",
    }


def headline(
    found: TrainingRun,
    primary: evidence.MetricRow | None,
    criteria: tuple[queries.Criterion, ...],
) -> tuple[str, str, str] | None:
    """(tone, sentence, detail) that answers what came out; None while it is under way."""
    if found.status in UNFINISHED_RUN:
        return None
    if found.status == RunStatus.FAILED:
        return "bad", "The run failed.", found.error_message
    if found.status == RunStatus.KILLED:
        return "warn", "The run was stopped before its end.", found.error_message
    value = _value(primary)
    unmet = [each for each in criteria if each.met is False]
    unknown = [each for each in criteria if each.met is None]
    if unmet:
        said = "; ".join(
            f"{each.label} {each.measured.value:.4g}, needed {each.sign} {each.limit:g}"
            for each in unmet
            if each.measured
        )
        count = f"{len(unmet)} of {len(criteria)} success criteria"
        return "bad", f"{value}It misses {count}.", said
    if unknown:
        names = ", ".join(each.label for each in unknown)
        return "warn", f"{value}Not every success criterion was measured.", f"Missing: {names}."
    if found.experiment is None:
        return None
    if criteria:
        plural = "criterion" if len(criteria) == 1 else f"{len(criteria)} criteria"
        met = f"It meets the success {plural}." if len(criteria) == 1 else f"It meets all {plural}."
        return "good", f"{value}{met}", "Measured on the test split."
    return "quiet", f"{value}The run is finished.", "The experiment sets no success criteria."


def _value(primary: evidence.MetricRow | None) -> str:
    if primary is None or primary.test is None:
        return ""
    return f"{primary.label} {primary.test.value:.3f} on test. "


def mlflow_url(found: TrainingRun | Selection) -> str:
    """Where MLflow's own pages show the run; empty while MLflow does not have it."""
    if not found.mlflow_run_id or not found.mlflow_experiment_id:
        return ""
    base = settings.MLFLOW_UI_URL.rstrip("/")
    place = quote(str(found.mlflow_experiment_id), safe="")
    return f"{base}/#/experiments/{place}/runs/{quote(found.mlflow_run_id, safe='')}"


def cancelling(request: HttpRequest, job: Job | None) -> Decision:
    """Whether the person may cancel the job behind a run."""
    if job is None:
        return refuse("No job of E2I runs it.")
    user: User = request.user  # type: ignore[assignment]
    return may_cancel(user, job)


@login_required
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the run's job to stop."""
    found = get_object_or_404(TrainingRun.objects.select_related("job"), pk=pk)
    return cancel_and_return(request, found)


def cancel_and_return(request: HttpRequest, found: TrainingRun | Selection) -> HttpResponse:
    """Cancel through the job's action, then show the run again."""
    if found.job is None:
        raise Http404("No job runs it.")
    user: User = request.user  # type: ignore[assignment]
    cancel_job(job=found.job, actor=user)
    messages.success(request, "It is being cancelled; the present step ends first.")
    return go_to(request, found)
