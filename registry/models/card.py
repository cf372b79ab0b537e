"""What people say about a version, and what E2I's key says about its files."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.models.entry import RegistryEntry


class ModelCard(models.Model):
    """The model card of one version, as people wrote it. Written through an action only.

    Mitchell et al., Model Cards for Model Reporting, 2019.
    """

    LONGEST = 10_000
    FIELDS = ("description", "intended_use", "limitations", "owner", "ethical_considerations")

    entry = models.OneToOneField(RegistryEntry, on_delete=models.PROTECT, related_name="card")
    description = models.TextField(blank=True, help_text="What it predicts, and how.")
    intended_use = models.TextField(blank=True, help_text="Which decisions it is for, and whose.")
    limitations = models.TextField(blank=True, help_text="Where it must not be relied on.")
    owner = models.CharField(
        max_length=200, blank=True, help_text="Who answers for it: a person or a team."
    )
    ethical_considerations = models.TextField(
        blank=True, help_text="Who could be harmed, and what is done about it."
    )
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "ml_model_cards"

    def __str__(self) -> str:
        return f"Model card of {self.entry}"

    @property
    def content(self) -> dict[str, str]:
        """{field: text}, without the empty ones."""
        texts = {name: getattr(self, name).strip() for name in self.FIELDS}
        return {name: text for name, text in texts.items() if text}

    @property
    def seen(self) -> str:
        """Tells this state of the card from every other."""
        return self.updated_at.isoformat()


class VersionSignature(models.Model):
    """E2I's signature over a version's files, made once."""

    entry = models.OneToOneField(
        RegistryEntry, on_delete=models.PROTECT, related_name="model_signature"
    )
    artifact_digest = models.CharField(max_length=64, help_text="Of the files that were signed.")
    bundle = models.TextField(help_text="Sigstore bundle as JSON; OpenSSF Model Signing 1.0.")
    key_fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the public key.")
    signed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "ml_version_signatures"

    def __str__(self) -> str:
        return f"Signature of {self.entry}"
