"""Break-glass: a promotion past its gates, and what others said about it afterwards."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.models.promotion import Promotion

# People other than whoever broke the glass whose acceptance closes it.
ACCEPTANCES_NEEDED = 2


class _Signed(models.Model):
    """Reason and electronic signature: printed name, meaning, time, and the statement's hash."""

    reason = models.TextField()
    signer_name = models.CharField(max_length=301)
    meaning = models.CharField(max_length=500)
    at = models.DateTimeField()
    statement = models.JSONField(help_text="What was signed, word for word.")
    signature_hash = models.CharField(
        max_length=64, help_text="SHA-256 of the statement; the trail holds it too."
    )

    class Meta:
        abstract = True


class BreakGlass(_Signed):
    """An administrator let a promotion past its gates and approvals. It is never removed."""

    promotion = models.OneToOneField(
        Promotion, on_delete=models.PROTECT, related_name="break_glass"
    )
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    bypassed = models.JSONField(help_text="[{gate, outcome, summary}] of what had not passed.")

    class Meta:
        db_table = "ml_break_glass"
        ordering = ["-id"]
        verbose_name_plural = "break-glass acts"

    def __str__(self) -> str:
        return f"Break-glass of {self.promotion}"

    @property
    def trail_scope(self) -> str:
        return self.promotion.trail_scope

    @property
    def acceptances(self) -> int:
        """How many others accepted it; a person reviews once."""
        return sum(review.accepted for review in self.reviews.all())

    @property
    def is_closed(self) -> bool:
        return self.acceptances >= ACCEPTANCES_NEEDED


class BreakGlassReview(_Signed):
    """What one other person said about it afterwards, signed."""

    break_glass = models.ForeignKey(BreakGlass, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    accepted = models.BooleanField(help_text="False: it should not have been done; it stays open.")

    class Meta:
        db_table = "ml_break_glass_reviews"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["break_glass", "reviewer"], name="break_glass_review_once_a_person"
            )
        ]

    def __str__(self) -> str:
        return f"{self.reviewer}: {'accepted' if self.accepted else 'not accepted'}"
