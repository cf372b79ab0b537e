"""Selections: one run of model_selector, its candidates and its rationale."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from e2i_site.jobs.models import Job
from training.choices import CandidateOutcome, CandidateRole, RunStatus
from training.models.dataset import Dataset
from training.models.experiment import Experiment


class Selection(models.Model):
    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="selections")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=10, choices=RunStatus.choices, default=RunStatus.SCHEDULED)
    constraints = models.JSONField(
        default=dict,
        help_text="max_latency_ms, max_memory_gb, exclude, minimum_interpretability, …",
    )
    history = models.JSONField(
        default=dict,
        help_text='Per algorithm: {"success_rate", "runs", "source": "database" | "prior"}.',
    )
    rationale = models.JSONField(default=dict)
    selected_algorithm = models.CharField(max_length=60, blank=True)
    metric = models.CharField(max_length=40, blank=True)
    mlflow_run_id = models.CharField(max_length=64, null=True, blank=True, unique=True)
    mlflow_experiment_id = models.CharField(max_length=64, blank=True)
    mlflow_available = models.BooleanField(default=False)
    journal_id = models.CharField(max_length=64, blank=True)
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    error_message = models.TextField(blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "ml_selections"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=RunStatus.values), name="selection_status_is_legal"
            )
        ]

    def __str__(self) -> str:
        return f"Selection {self.pk} for {self.experiment}"

    def get_absolute_url(self) -> str:
        return reverse("training:selection", args=[self.pk])

    @property
    def trail_scope(self) -> str:
        return self.experiment.trail_scope


class Candidate(models.Model):
    """One algorithm in one selection. A score that was not measured is null, never a default."""

    selection = models.ForeignKey(Selection, on_delete=models.PROTECT, related_name="candidates")
    algorithm = models.CharField(max_length=60)
    framework = models.CharField(max_length=40)
    role = models.CharField(
        max_length=10, choices=CandidateRole.choices, default=CandidateRole.CANDIDATE
    )
    outcome = models.CharField(max_length=12, choices=CandidateOutcome.choices)
    reasons = models.JSONField(default=list, help_text="Why it was excluded, or what failed.")
    rank = models.PositiveIntegerField(null=True, blank=True)
    selection_score = models.FloatField(null=True, blank=True)
    score_parts = models.JSONField(default=dict)
    benchmark_mean = models.FloatField(null=True, blank=True)
    benchmark_std = models.FloatField(null=True, blank=True)
    benchmark_score = models.FloatField(null=True, blank=True)
    fold_scores = models.JSONField(default=list)
    combined_score = models.FloatField(null=True, blank=True)
    latency_ms = models.FloatField(null=True, blank=True)
    memory_gb = models.FloatField(null=True, blank=True)
    fit_seconds = models.FloatField(null=True, blank=True)
    mlflow_run_id = models.CharField(max_length=64, null=True, blank=True)

    class Meta:
        db_table = "ml_selection_candidates"
        ordering = ["selection", "role", models.F("combined_score").desc(nulls_last=True)]
        constraints = [
            models.UniqueConstraint(
                fields=["selection", "algorithm", "role"], name="candidate_once_a_selection"
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=CandidateOutcome.values), name="candidate_outcome_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(selection_score__isnull=True)
                | Q(selection_score__gte=0, selection_score__lte=1),
                name="candidate_score_range",
            ),
        ]

    def __str__(self) -> str:
        return self.algorithm
