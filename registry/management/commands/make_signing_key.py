"""`manage.py make_signing_key`: the key that E2I signs model versions with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from e2i_site.core.errors import Conflict
from registry.measuring import signing


class Command(BaseCommand):
    help = (
        "Make the elliptic-curve key that E2I signs newly registered model versions with "
        "(OpenSSF Model Signing). Its place is E2I_MODEL_SIGNING_KEY."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(settings.MODEL_SIGNING_KEY)
        try:
            fingerprint = signing.make_key(path)
        except Conflict as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{path} is made; back it up and let nobody else read it.\n"
            f"Public key: {signing.public_key_path(path)}, SHA-256 {fingerprint}."
        )
