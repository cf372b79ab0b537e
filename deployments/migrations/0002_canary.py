"""A canary answers a growing share of the callers before a version takes over."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("deployments", "0001_initial"),
        ("registry", "0006_void_approvals_given_again"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Canary",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "limits",
                    models.JSONField(
                        help_text="Frozen: steps in percent, and minutes and requests of each."
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("paused", "Paused"),
                            ("done", "Passed"),
                            ("ended", "Ended"),
                        ],
                        default="running",
                        max_length=8,
                    ),
                ),
                ("pause_reason", models.CharField(blank=True, max_length=500)),
                (
                    "step",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="Which of the steps, from 0."
                    ),
                ),
                ("step_began_at", models.DateTimeField()),
                (
                    "requests_before",
                    models.PositiveBigIntegerField(
                        default=0, help_text="That it had answered when the step began."
                    ),
                ),
                ("errors_before", models.PositiveBigIntegerField(default=0)),
                (
                    "measured",
                    models.JSONField(
                        default=list,
                        help_text="Of each step that ended: [{share, began, ended, requests, errors, p99_ms}].",
                    ),
                ),
                ("began_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "canaries",
                "db_table": "ml_canaries",
                "ordering": ["-began_at"],
            },
        ),
        migrations.AddField(
            model_name="deployment",
            name="canary_share",
            field=models.PositiveSmallIntegerField(
                default=0, help_text="Percent of the callers that it answers beside the active one."
            ),
        ),
        migrations.AddConstraint(
            model_name="deployment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("canary_share__gt", 0)),
                fields=("endpoint_name", "environment"),
                name="deployment_one_canary_an_endpoint",
            ),
        ),
        migrations.AddConstraint(
            model_name="deployment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("canary_share", 0),
                    models.Q(
                        ("canary_share__lt", 100), ("status", "deploying"), ("strategy", "canary")
                    ),
                    _connector="OR",
                ),
                name="deployment_canary_share_is_legal",
            ),
        ),
        migrations.AddField(
            model_name="canary",
            name="deployment",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="canary",
                to="deployments.deployment",
            ),
        ),
        migrations.AddConstraint(
            model_name="canary",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["running", "paused", "done", "ended"])),
                name="canary_state_is_legal",
            ),
        ),
    ]
