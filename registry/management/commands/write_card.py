"""`manage.py write_card MODEL VERSION --user NAME --owner …`: a version's model card."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from e2i_site.core.errors import E2IError
from registry.actions.write_card import write_card
from registry.models import ModelCard, RegistryEntry


class Command(BaseCommand):
    help = "Write fields of a version's model card; those that are not given stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model")
        parser.add_argument("version", type=int)
        parser.add_argument("--user", required=True, help="Who writes it.")
        for name in ModelCard.FIELDS:
            parser.add_argument(f"--{name.replace('_', '-')}", dest=name)

    def handle(self, *args: Any, **options: Any) -> None:
        known = RegistryEntry.objects.filter(
            model_id=options["model"], model_version=options["version"]
        )
        entry = known.first()
        user = User.objects.filter(username=options["user"], is_active=True).first()
        if entry is None or user is None:
            raise CommandError("There is no such version, or no such active user.")
        given = {name: options[name] for name in ModelCard.FIELDS if options[name] is not None}
        try:
            card = write_card(entry=entry, content=given, actor=user)
        except (E2IError, ValidationError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{card}: {', '.join(card.content) or 'empty'}.")
