"""Deployments, shadow windows and emergency stops."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    # The steps by which databases made before came here.
    replaces = [
        ("deployments", "0002_initial"),
        ("deployments", "0003_emergency"),
    ]

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("registry", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="GatewayInstance",
            fields=[
                ("instance", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("version", models.CharField(blank=True, max_length=40)),
                (
                    "routes",
                    models.JSONField(
                        default=dict,
                        help_text="{endpoint: {active, shadow: {deployment, digest, loaded}}}",
                    ),
                ),
                ("problems", models.JSONField(default=list)),
                ("started_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
            ],
            options={
                "db_table": "ml_gateway_instances",
                "ordering": ["-seen_at"],
            },
        ),
        migrations.CreateModel(
            name="Deployment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "entry",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deployments",
                        to="registry.registryentry",
                    ),
                ),
                (
                    "promotion",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deployments",
                        to="registry.promotion",
                    ),
                ),
                ("deployment_name", models.CharField(max_length=300)),
                (
                    "environment",
                    models.CharField(
                        choices=[("staging", "Staging"), ("production", "Production")],
                        max_length=12,
                    ),
                ),
                ("endpoint_name", models.SlugField(max_length=256)),
                ("endpoint_url", models.URLField(max_length=500)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("deploying", "Deploying"),
                            ("active", "Active"),
                            ("draining", "Kept warm"),
                            ("retired", "Retired"),
                            ("rolled_back", "Rolled back"),
                            ("failed", "Failed"),
                            ("stopped", "Stopped in an emergency"),
                        ],
                        default="pending",
                        max_length=12,
                    ),
                ),
                (
                    "status_reason",
                    models.TextField(blank=True, help_text="What it waits for, or why it failed."),
                ),
                (
                    "strategy",
                    models.CharField(
                        choices=[
                            ("direct", "Direct"),
                            ("shadow", "Shadow"),
                            ("canary", "Canary"),
                            ("blue_green", "Blue-green"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "artifact_digest",
                    models.CharField(help_text="Of the bytes it serves.", max_length=64),
                ),
                (
                    "deployed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("deployment_config", models.JSONField(default=dict)),
                (
                    "shadow_metrics",
                    models.JSONField(default=dict, help_text="Measured by the gateway."),
                ),
                (
                    "production_metrics",
                    models.JSONField(default=dict, help_text="Measured by the gateway."),
                ),
                ("latency_p50_ms", models.FloatField(blank=True, null=True)),
                ("latency_p95_ms", models.FloatField(blank=True, null=True)),
                ("latency_p99_ms", models.FloatField(blank=True, null=True)),
                ("error_rate", models.FloatField(blank=True, null=True)),
                ("request_count", models.PositiveBigIntegerField(default=0)),
                ("measured_at", models.DateTimeField(blank=True, null=True)),
                ("health_failures", models.PositiveIntegerField(default=0, help_text="In a row.")),
                ("health_checked_at", models.DateTimeField(blank=True, null=True)),
                ("health_detail", models.TextField(blank=True)),
                (
                    "previous_deployment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="successors",
                        to="deployments.deployment",
                    ),
                ),
                (
                    "rollback_available",
                    models.BooleanField(
                        default=False,
                        help_text="The previous deployment exists and its bytes verify.",
                    ),
                ),
                ("rollback_checked_at", models.DateTimeField(blank=True, null=True)),
                ("rollback_detail", models.TextField(blank=True)),
                ("rollback_reason", models.TextField(blank=True)),
                ("rolled_back_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("deployed_at", models.DateTimeField(blank=True, null=True)),
                ("deactivated_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "ml_deployments",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("status__in", ("deploying", "active", "draining"))),
                        fields=["endpoint_name"],
                        name="deployment_live",
                    ),
                    models.Index(fields=["entry", "-id"], name="deployment_by_entry"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("status", "active"), models.Q(("strategy", "shadow"), _negated=True)
                        ),
                        fields=("endpoint_name", "environment"),
                        name="deployment_one_active_an_endpoint",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("status", "active"), ("strategy", "shadow")),
                        fields=("endpoint_name", "environment"),
                        name="deployment_one_shadow_an_endpoint",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                [
                                    "pending",
                                    "deploying",
                                    "active",
                                    "draining",
                                    "retired",
                                    "rolled_back",
                                    "failed",
                                    "stopped",
                                ],
                            )
                        ),
                        name="deployment_status_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("strategy__in", ["direct", "shadow", "canary", "blue_green"])
                        ),
                        name="deployment_strategy_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("environment__in", ["staging", "production"])),
                        name="deployment_environment_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("environment", "production"), ("strategy", "direct"), _negated=True
                        ),
                        name="deployment_production_never_direct",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("error_rate__isnull", True),
                            models.Q(("error_rate__gte", 0), ("error_rate__lte", 1)),
                            _connector="OR",
                        ),
                        name="deployment_error_rate_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ShadowWindow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "deployment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="shadow_window",
                        to="deployments.deployment",
                    ),
                ),
                (
                    "entry",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="shadow_windows",
                        to="registry.registryentry",
                    ),
                ),
                ("artifact_digest", models.CharField(max_length=64)),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.promotionpolicy",
                    ),
                ),
                (
                    "limits",
                    models.JSONField(
                        help_text="Frozen: hours, requests, error_rate, p99_ms, alpha, sequential."
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Collecting evidence"),
                            ("closed", "Closed"),
                            ("void", "Void"),
                        ],
                        default="open",
                        max_length=8,
                    ),
                ),
                ("state_reason", models.CharField(blank=True, max_length=300)),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("pass", "Passed"),
                            ("fail", "Failed"),
                            ("inconclusive", "Not enough evidence yet"),
                        ],
                        default="inconclusive",
                        max_length=12,
                    ),
                ),
                ("verdict_detail", models.JSONField(default=dict)),
                ("opened_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("evaluated_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "ml_shadow_windows",
                "ordering": ["-opened_at"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "open")),
                        fields=("entry",),
                        name="window_one_open_an_entry",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["open", "closed", "void"])),
                        name="window_state_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("verdict__in", ["pass", "fail", "inconclusive"])),
                        name="window_verdict_is_legal",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TrafficMinute",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "deployment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="traffic_minutes",
                        to="deployments.deployment",
                    ),
                ),
                ("minute", models.DateTimeField()),
                ("requests", models.PositiveBigIntegerField(default=0)),
                (
                    "errors",
                    models.PositiveBigIntegerField(
                        default=0, help_text="The model's or the server's."
                    ),
                ),
                (
                    "rejected",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Bad requests, not counted."
                    ),
                ),
                ("slow", models.PositiveBigIntegerField(default=0)),
                (
                    "dropped",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Not mirrored because the queue was full."
                    ),
                ),
                ("latency", models.JSONField(default=dict)),
                (
                    "compared",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Requests that the champion answered too."
                    ),
                ),
                ("disagreements", models.PositiveBigIntegerField(default=0)),
                ("champion_errors", models.PositiveBigIntegerField(default=0)),
                (
                    "difference_sum",
                    models.FloatField(
                        default=0.0, help_text="Sum of absolute differences of the predictions."
                    ),
                ),
                ("difference_max", models.FloatField(default=0.0)),
            ],
            options={
                "db_table": "ml_traffic_minutes",
                "ordering": ["deployment", "minute"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("deployment", "minute"), name="traffic_minute_once_a_deployment"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("errors__lte", models.F("requests")),
                            ("slow__lte", models.F("requests")),
                        ),
                        name="traffic_hits_within_requests",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ShadowLook",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "window",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="looks",
                        to="deployments.shadowwindow",
                    ),
                ),
                ("at", models.DateTimeField()),
                ("requests", models.PositiveBigIntegerField()),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("pass", "Passed"),
                            ("fail", "Failed"),
                            ("inconclusive", "Not enough evidence yet"),
                        ],
                        max_length=12,
                    ),
                ),
                ("detail", models.JSONField(default=dict)),
            ],
            options={
                "db_table": "ml_shadow_looks",
                "ordering": ["-at"],
            },
        ),
    ]
