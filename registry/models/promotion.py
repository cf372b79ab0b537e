"""Promotions: requests to move a version, their gates and their reviews."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from registry.choices import (
    BADNESS,
    OPEN_PROMOTION,
    GateOutcome,
    PromotionState,
    ReviewDecision,
    Risk,
    Stage,
)
from registry.models.entry import RegistryEntry
from registry.models.policy import PromotionPolicy


class PromotionQuerySet(models.QuerySet["Promotion"]):
    def open(self) -> PromotionQuerySet:
        return self.filter(state__in=OPEN_PROMOTION)

    def with_people(self) -> PromotionQuerySet:
        """With what every list shows, in one query."""
        return self.select_related("entry", "requester", "policy")


class Promotion(models.Model):
    """A request to move one version to one stage.

    `revision` counts every change of what a reviewer looks at. A decision names the revision it
    was made on, so that nobody decides on something they did not see.
    """

    entry = models.ForeignKey(RegistryEntry, on_delete=models.PROTECT, related_name="promotions")
    from_stage = models.CharField(max_length=12, choices=Stage.choices)
    to_stage = models.CharField(max_length=12, choices=Stage.choices)
    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="promotions"
    )
    reason = models.TextField()
    state = models.CharField(
        max_length=20, choices=PromotionState.choices, default=PromotionState.OPEN
    )
    state_reason = models.TextField(
        blank=True, help_text="Why it was rejected, withdrawn, or what its roll-out waits for."
    )
    policy = models.ForeignKey(PromotionPolicy, on_delete=models.PROTECT, related_name="promotions")
    artifact_digest = models.CharField(max_length=64, blank=True)
    revision = models.PositiveIntegerField(default=1)
    binding_hash = models.CharField(
        max_length=64,
        blank=True,
        help_text="SHA-256 of version, digest, policy and gate evidence: what an approval is for.",
    )
    champion = models.ForeignKey(
        RegistryEntry,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The production version it was compared with.",
    )
    previous_deciders = models.JSONField(
        default=list, help_text="Ids of those who approved the version's previous promotion."
    )
    past_gates = models.BooleanField(
        default=False, help_text="Break-glass: it went past its gates. For ever."
    )
    risk = models.CharField(
        max_length=6,
        choices=Risk.choices,
        blank=True,
        help_text="By the rule of registry/risk.py, with the gates; empty until computed.",
    )
    risk_reasons = models.JSONField(default=list, help_text="Sentences, the heaviest first.")
    reminders = models.PositiveIntegerField(
        default=0, help_text="Periods of the policy for which somebody was reminded."
    )
    gates_evaluated_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)
    carried_at = models.DateTimeField(
        null=True, blank=True, help_text="When MLflow had its aliases, tags, text and record."
    )

    objects = PromotionQuerySet.as_manager()

    class Meta:
        db_table = "ml_promotions"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["entry", "to_stage"],
                condition=Q(state__in=OPEN_PROMOTION),
                name="promotion_one_open_a_version_and_stage",
            ),
            models.CheckConstraint(
                condition=Q(state__in=PromotionState.values), name="promotion_state_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(from_stage__in=Stage.values, to_stage__in=Stage.values),
                name="promotion_stages_are_legal",
            ),
        ]
        indexes = [models.Index(fields=["state", "-id"], name="promotion_by_state")]

    def __str__(self) -> str:
        return f"{self.entry} → {self.to_stage}"

    def get_absolute_url(self) -> str:
        return reverse("registry:promotion", args=[self.pk])

    @property
    def trail_scope(self) -> str:
        return self.entry.trail_scope

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_PROMOTION


class GateResult(models.Model):
    """One gate of one promotion: what was measured, against which limit, and the evidence."""

    promotion = models.ForeignKey(Promotion, on_delete=models.PROTECT, related_name="gates")
    gate_id = models.CharField(max_length=60)
    position = models.PositiveIntegerField()
    specification = models.JSONField(default=dict, help_text="As the policy had it.")
    outcome = models.CharField(max_length=12, choices=GateOutcome.choices)
    summary = models.TextField(help_text="One sentence for people.")
    measured = models.CharField(max_length=200, blank=True)
    limit = models.CharField(max_length=200, blank=True)
    sample_size = models.PositiveBigIntegerField(null=True, blank=True)
    interval = models.JSONField(null=True, blank=True, help_text='{"low", "high", "level"}')
    inputs = models.JSONField(default=dict, help_text="Digests and sizes of what went in.")
    evidence = models.JSONField(default=dict)
    evidence_hash = models.CharField(max_length=64)
    seconds = models.FloatField()
    evaluated_at = models.DateTimeField()
    dry_run = models.BooleanField(default=False, help_text="It reports and never blocks.")
    measured_at = models.DateTimeField(
        null=True, blank=True, help_text="When its evidence was taken, where that was earlier."
    )

    class Meta:
        db_table = "ml_gate_results"
        ordering = ["promotion", "position"]
        constraints = [
            models.UniqueConstraint(fields=["promotion", "gate_id"], name="gate_once_a_promotion"),
            models.CheckConstraint(
                condition=Q(outcome__in=GateOutcome.values), name="gate_outcome_is_legal"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.gate_id}: {self.outcome}"

    @property
    def badness(self) -> int:
        return BADNESS.index(GateOutcome(self.outcome))

    @property
    def blocks(self) -> bool:
        """Whether the promotion cannot go on because of it."""
        return self.outcome != GateOutcome.PASS and not self.dry_run


class Review(models.Model):
    """What one person said about a promotion, and on what evidence."""

    promotion = models.ForeignKey(Promotion, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reviews"
    )
    decision = models.CharField(max_length=16, choices=ReviewDecision.choices)
    reason = models.TextField()
    revision = models.PositiveIntegerField()
    binding_hash = models.CharField(max_length=64)
    groups = models.JSONField(
        null=True, help_text="Names of the reviewer's groups at that moment; null: not recorded."
    )
    mentions = models.JSONField(
        default=list, help_text="User names in the reason that belong to people."
    )
    void_reason = models.TextField(
        blank=True, help_text="Why it counts no more; empty while it counts."
    )
    signer_name = models.CharField(
        max_length=301, blank=True, help_text="Printed name; comments are not signed."
    )
    meaning = models.CharField(max_length=500, blank=True)
    signed_at = models.DateTimeField(null=True, blank=True)
    statement = models.JSONField(default=dict, help_text="What was signed, word for word.")
    signature_hash = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the statement; the trail holds it too."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "ml_reviews"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["promotion", "reviewer", "binding_hash"],
                condition=Q(decision=ReviewDecision.APPROVE, void_reason=""),
                name="review_one_approval_a_person_and_evidence",
            ),
            models.CheckConstraint(
                condition=Q(decision__in=ReviewDecision.values), name="review_decision_is_legal"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.decision}"


class ReviewAssignment(models.Model):
    """Somebody, or a group, who was asked to review a promotion."""

    promotion = models.ForeignKey(Promotion, on_delete=models.PROTECT, related_name="assignments")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="review_assignments",
    )
    group = models.CharField(max_length=150, blank=True, help_text="Name of a group of people.")
    assigned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    assigned_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "ml_review_assignments"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["promotion", "person"],
                condition=Q(person__isnull=False),
                name="assignment_one_a_person",
            ),
            models.UniqueConstraint(
                fields=["promotion", "group"],
                condition=~Q(group=""),
                name="assignment_one_a_group",
            ),
            models.CheckConstraint(
                condition=Q(person__isnull=False, group="") | Q(person__isnull=True) & ~Q(group=""),
                name="assignment_person_or_group",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The user name, or the group's."""
        return self.person.get_username() if self.person is not None else self.group
