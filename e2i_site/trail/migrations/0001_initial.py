"""The record of who did what when."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="TrailHead",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("length", models.BigIntegerField(default=0)),
                (
                    "hash",
                    models.CharField(
                        default="0000000000000000000000000000000000000000000000000000000000000000",
                        max_length=64,
                    ),
                ),
            ],
            options={
                "db_table": "trail_head",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="trail_one_head")
                ],
            },
        ),
        migrations.CreateModel(
            name="TrailEntry",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        help_text="Position in the chain, from 1.",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("at", models.DateTimeField()),
                ("event", models.CharField(max_length=80)),
                (
                    "actor",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("actor_name", models.CharField(max_length=200)),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("web", "Browser"),
                            ("api", "API"),
                            ("command", "Command line"),
                            ("job", "Background job"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "request_id",
                    models.UUIDField(help_text="Shared by all entries of one request or job."),
                ),
                ("subject_type", models.CharField(max_length=80)),
                ("subject_id", models.CharField(max_length=80)),
                ("subject_label", models.CharField(max_length=300)),
                (
                    "scope",
                    models.CharField(
                        blank=True,
                        help_text="What it belongs to, such as model:churn.",
                        max_length=300,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                (
                    "changes",
                    models.TextField(help_text='Canonical JSON: {"old": {…}, "new": {…}}.'),
                ),
                ("previous_hash", models.CharField(max_length=64)),
                ("hash", models.CharField(max_length=64, unique=True)),
            ],
            options={
                "verbose_name_plural": "trail entries",
                "db_table": "trail_entry",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        fields=["subject_type", "subject_id", "-id"], name="trail_by_subject"
                    ),
                    models.Index(fields=["scope", "-id"], name="trail_by_scope"),
                    models.Index(fields=["event", "-id"], name="trail_by_event"),
                    models.Index(fields=["actor", "-id"], name="trail_by_actor"),
                    models.Index(fields=["-at"], name="trail_by_time"),
                ],
            },
        ),
    ]
