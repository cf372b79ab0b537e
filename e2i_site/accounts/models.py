"""What people asked through the API, so that asking twice does not do it twice."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class IdempotencyRecord(models.Model):
    """The answer to an unsafe API call that carried an `Idempotency-Key`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    request_hash = models.CharField(max_length=64, help_text="Of method, path and body.")
    status_code = models.PositiveSmallIntegerField(
        null=True, help_text="Null while the first call is still being answered."
    )
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "api_idempotency"
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_a_user")
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_by_age")]

    def __str__(self) -> str:
        return self.key
