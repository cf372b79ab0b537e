"""manage.py policy_reference: the reference of policy documents, as Markdown."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from registry.document.reference import reference


class Command(BaseCommand):
    help = "Print the reference of policy documents: manage.py policy_reference > docs/policies.md"

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(reference(), ending="")
