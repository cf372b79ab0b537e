"""What others changed in MLflow, and the webhooks that tell of it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    # The steps by which databases made before came here.
    replaces = [
        ("activity", "0001_events"),
        ("activity", "0002_webhook"),
        ("activity", "0003_account"),
        ("activity", "0004_removed"),
    ]

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="MlflowEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("alias_set", "Alias set"),
                            ("alias_moved", "Alias moved"),
                            ("alias_deleted", "Alias deleted"),
                            ("tag_set", "Tag set"),
                            ("tag_changed", "Tag changed"),
                            ("tag_deleted", "Tag deleted"),
                            ("metric_added", "Metric added after the end"),
                            ("metric_changed", "Metric changed after the end"),
                            ("metric_deleted", "Metric deleted after the end"),
                            ("param_added", "Parameter added after the end"),
                            ("param_changed", "Parameter changed after the end"),
                            ("param_deleted", "Parameter deleted after the end"),
                            ("status_changed", "Status changed after the end"),
                            ("created", "Created"),
                            ("deleted", "Deleted"),
                            ("restored", "Restored"),
                            ("renamed", "Renamed"),
                            ("description_changed", "Description changed"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "subject_kind",
                    models.CharField(
                        choices=[
                            ("model", "Model"),
                            ("version", "Version"),
                            ("run", "Run"),
                            ("experiment", "Experiment"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "subject_id",
                    models.CharField(
                        help_text="Name of a model, name/number of a version, MLflow's id else.",
                        max_length=300,
                    ),
                ),
                (
                    "label",
                    models.CharField(help_text="What the subject was called then.", max_length=520),
                ),
                (
                    "model_name",
                    models.CharField(
                        blank=True, help_text="Of a model or version.", max_length=256
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        blank=True, help_text="Name of the alias, tag, metric …", max_length=520
                    ),
                ),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
                ("noticed_at", models.DateTimeField()),
                (
                    "happened_at",
                    models.DateTimeField(blank=True, help_text="Where MLflow tells.", null=True),
                ),
                (
                    "user",
                    models.CharField(blank=True, help_text="Where MLflow tells.", max_length=256),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[("sync", "Sync"), ("webhook", "Webhook")],
                        default="sync",
                        max_length=10,
                    ),
                ),
            ],
            options={
                "db_table": "ml_mlflow_events",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["model_name", "-id"], name="mlflow_event_by_model"),
                    models.Index(
                        fields=["subject_kind", "subject_id", "-id"], name="mlflow_event_subject"
                    ),
                    models.Index(fields=["kind", "-id"], name="mlflow_event_by_kind"),
                    models.Index(fields=["noticed_at"], name="mlflow_event_by_time"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "kind__in",
                                [
                                    "alias_set",
                                    "alias_moved",
                                    "alias_deleted",
                                    "tag_set",
                                    "tag_changed",
                                    "tag_deleted",
                                    "metric_added",
                                    "metric_changed",
                                    "metric_deleted",
                                    "param_added",
                                    "param_changed",
                                    "param_deleted",
                                    "status_changed",
                                    "created",
                                    "deleted",
                                    "restored",
                                    "renamed",
                                    "description_changed",
                                ],
                            )
                        ),
                        name="mlflow_event_kind_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("subject_kind__in", ["model", "version", "run", "experiment"])
                        ),
                        name="mlflow_event_subject_is_legal",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("delivery_id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("entity", models.CharField(max_length=40)),
                ("action", models.CharField(max_length=20)),
                ("model_name", models.CharField(blank=True, max_length=256)),
                ("data", models.JSONField(default=dict)),
                ("sent_at", models.DateTimeField(help_text="When it happened, by MLflow's clock.")),
                ("received_at", models.DateTimeField()),
                ("applied_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "webhook deliveries",
                "db_table": "ml_mlflow_deliveries",
                "ordering": ["-received_at"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("applied_at", None)),
                        fields=["model_name"],
                        name="mlflow_delivery_unapplied",
                    ),
                    models.Index(fields=["received_at"], name="mlflow_delivery_by_time"),
                ],
            },
        ),
        migrations.CreateModel(
            name="WebhookState",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("url", models.CharField(blank=True, max_length=500)),
                (
                    "webhook_id",
                    models.CharField(blank=True, help_text="MLflow's; empty: none.", max_length=64),
                ),
                (
                    "secret_mark",
                    models.CharField(
                        blank=True,
                        help_text="Tells whether the secret changed; not the secret.",
                        max_length=64,
                    ),
                ),
                (
                    "account",
                    models.CharField(
                        blank=True, help_text="Ours at an MLflow that has accounts.", max_length=256
                    ),
                ),
                (
                    "sees_everything",
                    models.BooleanField(
                        help_text="False: MLflow shows our account only what it may read.",
                        null=True,
                    ),
                ),
                (
                    "removed_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Taken out of MLflow on request; stays out till asked.",
                        null=True,
                    ),
                ),
                (
                    "problem",
                    models.TextField(
                        blank=True, help_text="Why it is not registered or does not work."
                    ),
                ),
                ("checked_at", models.DateTimeField(blank=True, null=True)),
                ("tested_at", models.DateTimeField(blank=True, null=True)),
                ("test_passed", models.BooleanField(null=True)),
                ("test_detail", models.TextField(blank=True)),
                ("verified", models.PositiveBigIntegerField(default=0)),
                ("repeated", models.PositiveBigIntegerField(default=0)),
                ("rejected", models.PositiveBigIntegerField(default=0)),
                ("verified_at", models.DateTimeField(blank=True, null=True)),
                ("rejected_at", models.DateTimeField(blank=True, null=True)),
                ("rejected_reason", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "db_table": "ml_mlflow_webhook",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="mlflow_one_webhook")
                ],
            },
        ),
    ]
