"""Hyperparameter studies and their trials."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from training.choices import TrialState
from training.models.run import TrainingRun


class Study(models.Model):
    """One Optuna study. Several training runs of an experiment and algorithm share it."""

    name = models.CharField(max_length=200, unique=True)
    experiment_id = models.CharField(max_length=100)
    algorithm = models.CharField(max_length=60)
    problem_type = models.CharField(max_length=12)
    metric = models.CharField(max_length=40)
    direction = models.CharField(max_length=10)
    rows = models.PositiveBigIntegerField()
    features = models.PositiveIntegerField()
    warm_started_from = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "ml_hpo_studies"
        verbose_name_plural = "studies"

    def __str__(self) -> str:
        return self.name


class Trial(models.Model):
    """One trial, as the stored study has it."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="trials")
    training_run = models.ForeignKey(TrainingRun, on_delete=models.PROTECT, related_name="trials")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=TrialState.choices)
    value = models.FloatField(null=True, blank=True)
    params = models.JSONField(default=dict)
    intermediate = models.JSONField(default=dict, help_text="{step: value} that pruning looked at.")
    error = models.TextField(blank=True)
    seconds = models.FloatField(null=True, blank=True)
    is_best = models.BooleanField(default=False)
    mlflow_run_id = models.CharField(max_length=64, null=True, blank=True)

    class Meta:
        db_table = "ml_hpo_trials"
        ordering = ["study", "number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="trial_number_a_study"),
            models.UniqueConstraint(
                fields=["training_run"],
                condition=Q(is_best=True),
                name="trial_one_best_a_run",
            ),
            models.CheckConstraint(
                condition=Q(state__in=TrialState.values), name="trial_state_is_legal"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.study} trial {self.number}"
