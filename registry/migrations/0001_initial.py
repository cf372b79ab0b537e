"""Models, versions, policies, promotions, and what judges them."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("training", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="RegisteredModel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=256, unique=True)),
                ("description", models.TextField(blank=True)),
                (
                    "experiment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="models",
                        to="training.experiment",
                    ),
                ),
                (
                    "policy_name",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="Promotion policy chosen by an administrator; empty: by the model's name.",
                        max_length=60,
                    ),
                ),
                (
                    "aliases",
                    models.JSONField(
                        default=dict,
                        help_text="{alias: version} as MLflow has them, governed or not.",
                    ),
                ),
                ("tags", models.JSONField(default=dict, help_text="As MLflow has them.")),
                ("deleted_in_mlflow", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "created_in_mlflow",
                    models.DateTimeField(
                        blank=True, help_text="Stays the same when a model is renamed.", null=True
                    ),
                ),
                (
                    "updated_in_mlflow",
                    models.DateTimeField(
                        blank=True,
                        help_text="When the model or a version last changed there.",
                        null=True,
                    ),
                ),
                (
                    "synced_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When MLflow was asked for what the row says.",
                        null=True,
                    ),
                ),
            ],
            options={
                "db_table": "ml_registered_models",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="SyncState",
            fields=[
                (
                    "source",
                    models.CharField(
                        default="mlflow", max_length=40, primary_key=True, serialize=False
                    ),
                ),
                ("mode", models.CharField(blank=True, max_length=12)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("succeeded_at", models.DateTimeField(blank=True, null=True)),
                ("failed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "error",
                    models.TextField(
                        blank=True, help_text="Of the last attempt; empty when it succeeded."
                    ),
                ),
                ("counts", models.JSONField(default=dict)),
                (
                    "progress",
                    models.JSONField(
                        default=dict,
                        help_text="While one is under way: {phase, done, total, seconds_to_go}; total 0: unknown.",
                    ),
                ),
                ("cursor", models.JSONField(default=dict)),
                ("server_version", models.CharField(blank=True, max_length=40)),
                ("lease_token", models.UUIDField(blank=True, null=True)),
                ("lease_expires_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "ml_sync_state",
            },
        ),
        migrations.CreateModel(
            name="TestPredictions",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("artifact_digest", models.CharField(max_length=64)),
                ("dataset_digest", models.CharField(max_length=64)),
                (
                    "rows_digest",
                    models.CharField(help_text="SHA-256 of the test row numbers.", max_length=64),
                ),
                ("rows", models.PositiveBigIntegerField()),
                ("columns", models.PositiveIntegerField(help_text="1, or one a class.")),
                (
                    "values",
                    models.BinaryField(help_text="Little-endian doubles, row by row, zlib."),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "test predictions",
                "db_table": "ml_test_predictions",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("artifact_digest", "dataset_digest", "rows_digest"),
                        name="predictions_once_a_model_and_rows",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PromotionPolicy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.SlugField(max_length=60)),
                ("version", models.PositiveIntegerField()),
                ("description", models.TextField(blank=True)),
                (
                    "notice",
                    models.CharField(
                        blank=True, help_text="Shown wherever the policy counts.", max_length=200
                    ),
                ),
                (
                    "model_patterns",
                    models.JSONField(
                        blank=True, default=list, help_text="Glob patterns of the models it claims."
                    ),
                ),
                ("stages", models.JSONField()),
                (
                    "source",
                    models.TextField(blank=True, help_text="The document as it was written."),
                ),
                ("reason", models.TextField(blank=True, help_text="Why it was published.")),
                (
                    "published_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("published_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "promotion policies",
                "db_table": "ml_promotion_policies",
                "ordering": ["name", "-version"],
                "constraints": [
                    models.UniqueConstraint(fields=("name", "version"), name="policy_name_version"),
                    models.CheckConstraint(
                        condition=models.Q(("version__gte", 1)), name="policy_version_positive"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RegistryEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        db_column="model_name",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entries",
                        to="registry.registeredmodel",
                        to_field="name",
                    ),
                ),
                ("model_version", models.PositiveIntegerField()),
                (
                    "experiment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entries",
                        to="training.experiment",
                    ),
                ),
                (
                    "training_run",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entries",
                        to="training.trainingrun",
                    ),
                ),
                ("mlflow_run_id", models.CharField(blank=True, max_length=64)),
                (
                    "mlflow_model_uri",
                    models.TextField(blank=True, help_text="Source of the version in MLflow."),
                ),
                (
                    "artifact_digest",
                    models.CharField(
                        blank=True,
                        help_text="SHA-256 over all files; empty until computed.",
                        max_length=64,
                    ),
                ),
                ("algorithm", models.CharField(blank=True, max_length=60)),
                ("framework", models.CharField(blank=True, max_length=40)),
                ("hyperparameters", models.JSONField(default=dict)),
                ("feature_count", models.PositiveIntegerField(blank=True, null=True)),
                ("training_samples", models.PositiveBigIntegerField(blank=True, null=True)),
                (
                    "auc",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                    ),
                ),
                (
                    "pr_auc",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                    ),
                ),
                (
                    "brier_score",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                    ),
                ),
                ("calibration_slope", models.FloatField(blank=True, null=True)),
                (
                    "signature",
                    models.JSONField(default=dict, help_text="Inputs and outputs as in MLmodel."),
                ),
                ("selection_score", models.FloatField(blank=True, null=True)),
                ("selection_rationale", models.JSONField(default=dict)),
                (
                    "stage",
                    models.CharField(
                        choices=[
                            ("development", "Development"),
                            ("staging", "Staging"),
                            ("shadow", "Shadow"),
                            ("production", "Production"),
                            ("archived", "Archived"),
                            ("deprecated", "Deprecated"),
                        ],
                        default="development",
                        max_length=12,
                    ),
                ),
                ("is_champion", models.BooleanField(default=False)),
                ("preprocessing_pipeline_path", models.TextField(blank=True)),
                ("description", models.TextField(blank=True)),
                ("tags", models.JSONField(default=dict, help_text="As MLflow has them.")),
                ("deleted_in_mlflow", models.BooleanField(default=False)),
                (
                    "past_gates",
                    models.BooleanField(
                        default=False, help_text="A promotion of it went past its gates. For ever."
                    ),
                ),
                (
                    "trained_by",
                    models.ForeignKey(
                        blank=True,
                        help_text="Who asked for the training; may not approve.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "registered_by",
                    models.ForeignKey(
                        blank=True,
                        help_text="Who had it registered; empty for versions that came from MLflow.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("trained_at", models.DateTimeField(blank=True, null=True)),
                ("registered_at", models.DateTimeField(blank=True, null=True)),
                ("promoted_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "synced_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When the mirror last wrote it; empty before it did.",
                        null=True,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "registry entries",
                "db_table": "ml_model_registry",
                "ordering": ["model", "-model_version"],
                "indexes": [
                    models.Index(fields=["stage", "model"], name="entry_by_stage_and_model")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("model", "model_version"), name="entry_model_version"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("stage", "production")),
                        fields=("model",),
                        name="entry_one_production_a_model",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("stage", "shadow")),
                        fields=("model",),
                        name="entry_one_shadow_a_model",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "stage__in",
                                [
                                    "development",
                                    "staging",
                                    "shadow",
                                    "production",
                                    "archived",
                                    "deprecated",
                                ],
                            )
                        ),
                        name="entry_stage_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("model_version__gte", 1)),
                        name="entry_version_is_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("auc__isnull", True),
                            models.Q(("auc__gte", 0.0), ("auc__lte", 1.0)),
                            _connector="OR",
                        ),
                        name="entry_auc_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("pr_auc__isnull", True),
                            models.Q(("pr_auc__gte", 0.0), ("pr_auc__lte", 1.0)),
                            _connector="OR",
                        ),
                        name="entry_pr_auc_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("brier_score__isnull", True),
                            models.Q(("brier_score__gte", 0.0), ("brier_score__lte", 1.0)),
                            _connector="OR",
                        ),
                        name="entry_brier_score_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="VersionMeasurement",
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
                        related_name="measurements",
                        to="registry.registryentry",
                    ),
                ),
                ("key", models.CharField(max_length=64)),
                ("kind", models.CharField(max_length=40)),
                ("artifact_digest", models.CharField(max_length=64)),
                (
                    "against",
                    models.ForeignKey(
                        blank=True,
                        help_text="The version it was compared with, or whose bytes it is about.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.registryentry",
                    ),
                ),
                ("specification", models.JSONField(default=dict)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("measured", "Measured"),
                            ("impossible", "Cannot be measured"),
                            ("error", "Error"),
                        ],
                        max_length=12,
                    ),
                ),
                ("problem", models.TextField(blank=True, help_text="Why there is no result.")),
                ("result", models.JSONField(default=dict)),
                ("sample_size", models.PositiveBigIntegerField(blank=True, null=True)),
                (
                    "interval",
                    models.JSONField(blank=True, help_text='{"low", "high", "level"}', null=True),
                ),
                (
                    "inputs",
                    models.JSONField(default=dict, help_text="Digests and sizes of what went in."),
                ),
                ("seconds", models.FloatField()),
                ("measured_at", models.DateTimeField()),
            ],
            options={
                "db_table": "ml_version_measurements",
                "ordering": ["entry", "kind", "id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("entry", "key"), name="measurement_once_a_question"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["measured", "impossible", "error"])),
                        name="measurement_state_is_legal",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="VersionSignature",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "entry",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="model_signature",
                        to="registry.registryentry",
                    ),
                ),
                (
                    "artifact_digest",
                    models.CharField(help_text="Of the files that were signed.", max_length=64),
                ),
                (
                    "bundle",
                    models.TextField(
                        help_text="Sigstore bundle as JSON; OpenSSF Model Signing 1.0."
                    ),
                ),
                (
                    "key_fingerprint",
                    models.CharField(help_text="SHA-256 of the public key.", max_length=64),
                ),
                ("signed_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "ml_version_signatures",
            },
        ),
        migrations.CreateModel(
            name="ModelCard",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "entry",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="card",
                        to="registry.registryentry",
                    ),
                ),
                (
                    "description",
                    models.TextField(blank=True, help_text="What it predicts, and how."),
                ),
                (
                    "intended_use",
                    models.TextField(blank=True, help_text="Which decisions it is for, and whose."),
                ),
                (
                    "limitations",
                    models.TextField(blank=True, help_text="Where it must not be relied on."),
                ),
                (
                    "owner",
                    models.CharField(
                        blank=True,
                        help_text="Who answers for it: a person or a team.",
                        max_length=200,
                    ),
                ),
                (
                    "ethical_considerations",
                    models.TextField(
                        blank=True, help_text="Who could be harmed, and what is done about it."
                    ),
                ),
                (
                    "updated_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "ml_model_cards",
            },
        ),
        migrations.CreateModel(
            name="Promotion",
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
                        related_name="promotions",
                        to="registry.registryentry",
                    ),
                ),
                (
                    "from_stage",
                    models.CharField(
                        choices=[
                            ("development", "Development"),
                            ("staging", "Staging"),
                            ("shadow", "Shadow"),
                            ("production", "Production"),
                            ("archived", "Archived"),
                            ("deprecated", "Deprecated"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "to_stage",
                    models.CharField(
                        choices=[
                            ("development", "Development"),
                            ("staging", "Staging"),
                            ("shadow", "Shadow"),
                            ("production", "Production"),
                            ("archived", "Archived"),
                            ("deprecated", "Deprecated"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "requester",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="promotions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("reason", models.TextField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "In review"),
                            ("changes_requested", "Changes requested"),
                            ("approved", "Approved, rolling out"),
                            ("applied", "Done"),
                            ("failed", "Roll-out failed"),
                            ("rejected", "Rejected"),
                            ("withdrawn", "Withdrawn"),
                            ("superseded", "Superseded"),
                            ("expired", "Expired"),
                        ],
                        default="open",
                        max_length=20,
                    ),
                ),
                (
                    "state_reason",
                    models.TextField(
                        blank=True,
                        help_text="Why it was rejected, withdrawn, or what its roll-out waits for.",
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="promotions",
                        to="registry.promotionpolicy",
                    ),
                ),
                ("artifact_digest", models.CharField(blank=True, max_length=64)),
                ("revision", models.PositiveIntegerField(default=1)),
                (
                    "binding_hash",
                    models.CharField(
                        blank=True,
                        help_text="SHA-256 of version, digest, policy and gate evidence: what an approval is for.",
                        max_length=64,
                    ),
                ),
                (
                    "champion",
                    models.ForeignKey(
                        blank=True,
                        help_text="The production version it was compared with.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.registryentry",
                    ),
                ),
                (
                    "previous_deciders",
                    models.JSONField(
                        default=list,
                        help_text="Ids of those who approved the version's previous promotion.",
                    ),
                ),
                (
                    "past_gates",
                    models.BooleanField(
                        default=False, help_text="Break-glass: it went past its gates. For ever."
                    ),
                ),
                (
                    "risk",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("low", "Low risk"),
                            ("medium", "Medium risk"),
                            ("high", "High risk"),
                        ],
                        help_text="By the rule of registry/risk.py, with the gates; empty until computed.",
                        max_length=6,
                    ),
                ),
                (
                    "risk_reasons",
                    models.JSONField(default=list, help_text="Sentences, the heaviest first."),
                ),
                (
                    "reminders",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="Periods of the policy for which somebody was reminded.",
                    ),
                ),
                ("gates_evaluated_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("applied_at", models.DateTimeField(blank=True, null=True)),
                (
                    "carried_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When MLflow had its aliases, tags, text and record.",
                        null=True,
                    ),
                ),
            ],
            options={
                "db_table": "ml_promotions",
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["state", "-id"], name="promotion_by_state")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("state__in", ("open", "changes_requested", "approved"))
                        ),
                        fields=("entry", "to_stage"),
                        name="promotion_one_open_a_version_and_stage",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "state__in",
                                [
                                    "open",
                                    "changes_requested",
                                    "approved",
                                    "applied",
                                    "failed",
                                    "rejected",
                                    "withdrawn",
                                    "superseded",
                                    "expired",
                                ],
                            )
                        ),
                        name="promotion_state_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "from_stage__in",
                                [
                                    "development",
                                    "staging",
                                    "shadow",
                                    "production",
                                    "archived",
                                    "deprecated",
                                ],
                            ),
                            (
                                "to_stage__in",
                                [
                                    "development",
                                    "staging",
                                    "shadow",
                                    "production",
                                    "archived",
                                    "deprecated",
                                ],
                            ),
                        ),
                        name="promotion_stages_are_legal",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Review",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "promotion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reviews",
                        to="registry.promotion",
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reviews",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "decision",
                    models.CharField(
                        choices=[
                            ("approve", "Approved"),
                            ("reject", "Rejected"),
                            ("request_changes", "Changes requested"),
                            ("comment", "Comment"),
                        ],
                        max_length=16,
                    ),
                ),
                ("reason", models.TextField()),
                ("revision", models.PositiveIntegerField()),
                ("binding_hash", models.CharField(max_length=64)),
                (
                    "groups",
                    models.JSONField(
                        help_text="Names of the reviewer's groups at that moment; null: not recorded.",
                        null=True,
                    ),
                ),
                (
                    "mentions",
                    models.JSONField(
                        default=list, help_text="User names in the reason that belong to people."
                    ),
                ),
                (
                    "void_reason",
                    models.TextField(
                        blank=True, help_text="Why it counts no more; empty while it counts."
                    ),
                ),
                (
                    "signer_name",
                    models.CharField(
                        blank=True,
                        help_text="Printed name; comments are not signed.",
                        max_length=301,
                    ),
                ),
                ("meaning", models.CharField(blank=True, max_length=500)),
                ("signed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "statement",
                    models.JSONField(default=dict, help_text="What was signed, word for word."),
                ),
                (
                    "signature_hash",
                    models.CharField(
                        blank=True,
                        help_text="SHA-256 of the statement; the trail holds it too.",
                        max_length=64,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "ml_reviews",
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("decision", "approve")),
                        fields=("promotion", "reviewer", "binding_hash"),
                        name="review_one_approval_a_person_and_evidence",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("decision__in", ["approve", "reject", "request_changes", "comment"])
                        ),
                        name="review_decision_is_legal",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReviewAssignment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "promotion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="assignments",
                        to="registry.promotion",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="review_assignments",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "group",
                    models.CharField(
                        blank=True, help_text="Name of a group of people.", max_length=150
                    ),
                ),
                (
                    "assigned_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("assigned_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "ml_review_assignments",
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("person__isnull", False)),
                        fields=("promotion", "person"),
                        name="assignment_one_a_person",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("group", ""), _negated=True),
                        fields=("promotion", "group"),
                        name="assignment_one_a_group",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("group", ""), ("person__isnull", False)),
                            models.Q(
                                ("person__isnull", True), models.Q(("group", ""), _negated=True)
                            ),
                            _connector="OR",
                        ),
                        name="assignment_person_or_group",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="StageChange",
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
                        related_name="stage_changes",
                        to="registry.registryentry",
                    ),
                ),
                (
                    "from_stage",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("development", "Development"),
                            ("staging", "Staging"),
                            ("shadow", "Shadow"),
                            ("production", "Production"),
                            ("archived", "Archived"),
                            ("deprecated", "Deprecated"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "to_stage",
                    models.CharField(
                        choices=[
                            ("development", "Development"),
                            ("staging", "Staging"),
                            ("shadow", "Shadow"),
                            ("production", "Production"),
                            ("archived", "Archived"),
                            ("deprecated", "Deprecated"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "cause",
                    models.CharField(
                        choices=[
                            ("registered", "Registered"),
                            ("promotion", "Promotion"),
                            ("successor", "Archived for its successor"),
                            ("rollback", "Rollback"),
                            ("deprecation", "Deprecation"),
                            ("emergency", "Emergency stop"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "promotion",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="stage_changes",
                        to="registry.promotion",
                    ),
                ),
                (
                    "actor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("at", models.DateTimeField()),
            ],
            options={
                "db_table": "ml_stage_changes",
                "ordering": ["-at", "-id"],
                "indexes": [models.Index(fields=["entry", "-at"], name="stage_change_by_entry")],
            },
        ),
        migrations.CreateModel(
            name="BreakGlass",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.TextField()),
                ("signer_name", models.CharField(max_length=301)),
                ("meaning", models.CharField(max_length=500)),
                ("at", models.DateTimeField()),
                ("statement", models.JSONField(help_text="What was signed, word for word.")),
                (
                    "signature_hash",
                    models.CharField(
                        help_text="SHA-256 of the statement; the trail holds it too.", max_length=64
                    ),
                ),
                (
                    "promotion",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="break_glass",
                        to="registry.promotion",
                    ),
                ),
                (
                    "actor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "bypassed",
                    models.JSONField(
                        help_text="[{gate, outcome, summary}] of what had not passed."
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "break-glass acts",
                "db_table": "ml_break_glass",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="GateResult",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "promotion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="gates",
                        to="registry.promotion",
                    ),
                ),
                ("gate_id", models.CharField(max_length=60)),
                ("position", models.PositiveIntegerField()),
                (
                    "specification",
                    models.JSONField(default=dict, help_text="As the policy had it."),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("pass", "Passed"),
                            ("inconclusive", "Inconclusive"),
                            ("fail", "Failed"),
                            ("error", "Error"),
                        ],
                        max_length=12,
                    ),
                ),
                ("summary", models.TextField(help_text="One sentence for people.")),
                ("measured", models.CharField(blank=True, max_length=200)),
                ("limit", models.CharField(blank=True, max_length=200)),
                ("sample_size", models.PositiveBigIntegerField(blank=True, null=True)),
                (
                    "interval",
                    models.JSONField(blank=True, help_text='{"low", "high", "level"}', null=True),
                ),
                (
                    "inputs",
                    models.JSONField(default=dict, help_text="Digests and sizes of what went in."),
                ),
                ("evidence", models.JSONField(default=dict)),
                ("evidence_hash", models.CharField(max_length=64)),
                ("seconds", models.FloatField()),
                ("evaluated_at", models.DateTimeField()),
                (
                    "dry_run",
                    models.BooleanField(default=False, help_text="It reports and never blocks."),
                ),
                (
                    "measured_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When its evidence was taken, where that was earlier.",
                        null=True,
                    ),
                ),
            ],
            options={
                "db_table": "ml_gate_results",
                "ordering": ["promotion", "position"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("promotion", "gate_id"), name="gate_once_a_promotion"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("outcome__in", ["pass", "inconclusive", "fail", "error"])
                        ),
                        name="gate_outcome_is_legal",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BreakGlassReview",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.TextField()),
                ("signer_name", models.CharField(max_length=301)),
                ("meaning", models.CharField(max_length=500)),
                ("at", models.DateTimeField()),
                ("statement", models.JSONField(help_text="What was signed, word for word.")),
                (
                    "signature_hash",
                    models.CharField(
                        help_text="SHA-256 of the statement; the trail holds it too.", max_length=64
                    ),
                ),
                (
                    "break_glass",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reviews",
                        to="registry.breakglass",
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "accepted",
                    models.BooleanField(
                        help_text="False: it should not have been done; it stays open."
                    ),
                ),
            ],
            options={
                "db_table": "ml_break_glass_reviews",
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("break_glass", "reviewer"), name="break_glass_review_once_a_person"
                    )
                ],
            },
        ),
    ]
