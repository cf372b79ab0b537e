"""Experiments, data sets, selections, studies and runs."""

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("jobs", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Study",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=200, unique=True)),
                ("experiment_id", models.CharField(max_length=100)),
                ("algorithm", models.CharField(max_length=60)),
                ("problem_type", models.CharField(max_length=12)),
                ("metric", models.CharField(max_length=40)),
                ("direction", models.CharField(max_length=10)),
                ("rows", models.PositiveBigIntegerField()),
                ("features", models.PositiveIntegerField()),
                ("warm_started_from", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "studies",
                "db_table": "ml_hpo_studies",
            },
        ),
        migrations.CreateModel(
            name="Dataset",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.SlugField(max_length=100)),
                ("description", models.TextField(blank=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("file", "Imported file"),
                            ("bundled", "Shipped with E2I"),
                            ("sklearn", "Shipped with scikit-learn"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "location",
                    models.CharField(
                        help_text="File below the data directory, or the loader's name.",
                        max_length=500,
                    ),
                ),
                (
                    "digest",
                    models.CharField(help_text="SHA-256 of the loaded content.", max_length=64),
                ),
                ("target", models.CharField(max_length=200)),
                (
                    "problem_type",
                    models.CharField(
                        choices=[
                            ("binary", "Binary classification"),
                            ("multiclass", "Multiclass classification"),
                            ("regression", "Regression"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "columns",
                    models.JSONField(
                        default=list, help_text='[{"name": …, "dtype": …}], target included.'
                    ),
                ),
                (
                    "group_columns",
                    models.JSONField(
                        default=list,
                        help_text="Rows equal in these stay in one split; empty for none.",
                    ),
                ),
                ("time_column", models.CharField(blank=True, max_length=200)),
                ("row_count", models.PositiveBigIntegerField()),
                ("provenance", models.TextField(blank=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "ml_datasets",
                "ordering": ["name", "-id"],
                "constraints": [
                    models.UniqueConstraint(fields=("name", "digest"), name="dataset_name_digest"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("problem_type__in", ["binary", "multiclass", "regression"])
                        ),
                        name="dataset_problem_is_legal",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Experiment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("experiment_id", models.SlugField(max_length=100, unique=True)),
                ("name", models.CharField(max_length=200)),
                ("description", models.TextField(blank=True)),
                ("prediction_target", models.CharField(max_length=200)),
                (
                    "problem_type",
                    models.CharField(
                        choices=[
                            ("binary", "Binary classification"),
                            ("multiclass", "Multiclass classification"),
                            ("regression", "Regression"),
                        ],
                        max_length=12,
                    ),
                ),
                ("target_population", models.CharField(blank=True, max_length=300)),
                ("observation_window_days", models.PositiveIntegerField(blank=True, null=True)),
                ("prediction_horizon_days", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="experiments",
                        to="training.dataset",
                    ),
                ),
                (
                    "minimum_auc",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.5),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                    ),
                ),
                (
                    "minimum_pr_auc",
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
                    "minimum_precision_at_k",
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
                    "minimum_recall",
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
                    "maximum_fpr",
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
                    "maximum_brier",
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
                    "minimum_r2",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(1.0)],
                    ),
                ),
                (
                    "maximum_rmse",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0.0)],
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "ml_experiments",
                "ordering": ["experiment_id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("problem_type__in", ["binary", "multiclass", "regression"])
                        ),
                        name="experiment_problem_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("minimum_auc__isnull", True),
                            models.Q(("minimum_auc__gte", 0.5), ("minimum_auc__lte", 1.0)),
                            _connector="OR",
                        ),
                        name="experiment_minimum_auc_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("minimum_pr_auc__isnull", True),
                            models.Q(("minimum_pr_auc__gte", 0.0), ("minimum_pr_auc__lte", 1.0)),
                            _connector="OR",
                        ),
                        name="experiment_minimum_pr_auc_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("minimum_precision_at_k__isnull", True),
                            models.Q(
                                ("minimum_precision_at_k__gte", 0.0),
                                ("minimum_precision_at_k__lte", 1.0),
                            ),
                            _connector="OR",
                        ),
                        name="experiment_minimum_precision_at_k_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("minimum_recall__isnull", True),
                            models.Q(("minimum_recall__gte", 0.0), ("minimum_recall__lte", 1.0)),
                            _connector="OR",
                        ),
                        name="experiment_minimum_recall_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("maximum_fpr__isnull", True),
                            models.Q(("maximum_fpr__gte", 0.0), ("maximum_fpr__lte", 1.0)),
                            _connector="OR",
                        ),
                        name="experiment_maximum_fpr_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("maximum_brier__isnull", True),
                            models.Q(("maximum_brier__gte", 0.0), ("maximum_brier__lte", 1.0)),
                            _connector="OR",
                        ),
                        name="experiment_maximum_brier_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="MlflowExperiment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("mlflow_id", models.CharField(max_length=64, unique=True)),
                ("name", models.CharField(max_length=500)),
                ("artifact_location", models.TextField(blank=True)),
                ("deleted", models.BooleanField(default=False)),
                ("tags", models.JSONField(default=dict)),
                (
                    "experiment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="mlflow_experiments",
                        to="training.experiment",
                    ),
                ),
                (
                    "agent_type",
                    models.CharField(
                        blank=True,
                        help_text="From E2I's naming; empty for others' experiments.",
                        max_length=30,
                    ),
                ),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("synced_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "ml_mlflow_experiments",
                "ordering": ["name"],
                "indexes": [models.Index(fields=["name"], name="mlflow_experiment_name")],
            },
        ),
        migrations.CreateModel(
            name="Selection",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "experiment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="selections",
                        to="training.experiment",
                    ),
                ),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="training.dataset",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("scheduled", "Scheduled"),
                            ("running", "Running"),
                            ("finished", "Finished"),
                            ("failed", "Failed"),
                            ("killed", "Killed"),
                        ],
                        default="scheduled",
                        max_length=10,
                    ),
                ),
                (
                    "constraints",
                    models.JSONField(
                        default=dict,
                        help_text="max_latency_ms, max_memory_gb, exclude, minimum_interpretability, …",
                    ),
                ),
                (
                    "history",
                    models.JSONField(
                        default=dict,
                        help_text='Per algorithm: {"success_rate", "runs", "source": "database" | "prior"}.',
                    ),
                ),
                ("rationale", models.JSONField(default=dict)),
                ("selected_algorithm", models.CharField(blank=True, max_length=60)),
                ("metric", models.CharField(blank=True, max_length=40)),
                (
                    "mlflow_run_id",
                    models.CharField(blank=True, max_length=64, null=True, unique=True),
                ),
                ("mlflow_experiment_id", models.CharField(blank=True, max_length=64)),
                ("mlflow_available", models.BooleanField(default=False)),
                ("journal_id", models.CharField(blank=True, max_length=64)),
                (
                    "job",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="jobs.job",
                    ),
                ),
                ("error_message", models.TextField(blank=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("completed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "ml_selections",
                "ordering": ["-id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["scheduled", "running", "finished", "failed", "killed"])
                        ),
                        name="selection_status_is_legal",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="LoggedModel",
            fields=[
                ("model_id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                (
                    "mlflow_experiment",
                    models.ForeignKey(
                        db_column="mlflow_experiment_id",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="logged_models",
                        to="training.mlflowexperiment",
                        to_field="mlflow_id",
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=500)),
                ("status", models.CharField(blank=True, max_length=40)),
                ("model_type", models.CharField(blank=True, max_length=500)),
                ("source_run_id", models.CharField(blank=True, db_index=True, max_length=64)),
                ("artifact_uri", models.TextField(blank=True)),
                ("params", models.JSONField(default=dict)),
                ("tags", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("updated_at", models.DateTimeField(blank=True, null=True)),
                ("deleted_in_mlflow", models.BooleanField(default=False)),
                ("mirror_hash", models.CharField(blank=True, max_length=32)),
            ],
            options={
                "db_table": "ml_logged_models",
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="Candidate",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "selection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="candidates",
                        to="training.selection",
                    ),
                ),
                ("algorithm", models.CharField(max_length=60)),
                ("framework", models.CharField(max_length=40)),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("candidate", "Candidate"),
                            ("baseline", "Baseline"),
                            ("dummy", "Dummy predictor"),
                        ],
                        default="candidate",
                        max_length=10,
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("ranked", "Ranked"),
                            ("benchmarked", "Benchmarked"),
                            ("excluded", "Excluded"),
                            ("failed", "Failed"),
                            ("selected", "Selected"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "reasons",
                    models.JSONField(
                        default=list, help_text="Why it was excluded, or what failed."
                    ),
                ),
                ("rank", models.PositiveIntegerField(blank=True, null=True)),
                ("selection_score", models.FloatField(blank=True, null=True)),
                ("score_parts", models.JSONField(default=dict)),
                ("benchmark_mean", models.FloatField(blank=True, null=True)),
                ("benchmark_std", models.FloatField(blank=True, null=True)),
                ("benchmark_score", models.FloatField(blank=True, null=True)),
                ("fold_scores", models.JSONField(default=list)),
                ("combined_score", models.FloatField(blank=True, null=True)),
                ("latency_ms", models.FloatField(blank=True, null=True)),
                ("memory_gb", models.FloatField(blank=True, null=True)),
                ("fit_seconds", models.FloatField(blank=True, null=True)),
                ("mlflow_run_id", models.CharField(blank=True, max_length=64, null=True)),
            ],
            options={
                "db_table": "ml_selection_candidates",
                "ordering": [
                    "selection",
                    "role",
                    models.OrderBy(models.F("combined_score"), descending=True, nulls_last=True),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("selection", "algorithm", "role"), name="candidate_once_a_selection"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "outcome__in",
                                ["ranked", "benchmarked", "excluded", "failed", "selected"],
                            )
                        ),
                        name="candidate_outcome_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("selection_score__isnull", True),
                            models.Q(("selection_score__gte", 0), ("selection_score__lte", 1)),
                            _connector="OR",
                        ),
                        name="candidate_score_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TrainingRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "experiment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="training_runs",
                        to="training.experiment",
                    ),
                ),
                (
                    "dataset",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="training_runs",
                        to="training.dataset",
                    ),
                ),
                (
                    "selection",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="training_runs",
                        to="training.selection",
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="children",
                        to="training.trainingrun",
                    ),
                ),
                ("run_name", models.CharField(blank=True, max_length=500)),
                (
                    "source",
                    models.CharField(
                        choices=[("e2i", "E2I"), ("mlflow", "Logged to MLflow by others")],
                        default="e2i",
                        max_length=10,
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("training", "Training"),
                            ("selection", "Selection"),
                            ("candidate", "Candidate of a selection"),
                            ("trial", "Trial of a study"),
                            ("deployment", "Deployment"),
                            ("other", "Other"),
                        ],
                        default="training",
                        max_length=12,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("scheduled", "Scheduled"),
                            ("running", "Running"),
                            ("finished", "Finished"),
                            ("failed", "Failed"),
                            ("killed", "Killed"),
                        ],
                        default="scheduled",
                        max_length=10,
                    ),
                ),
                ("error_message", models.TextField(blank=True)),
                (
                    "mlflow_run_id",
                    models.CharField(blank=True, max_length=64, null=True, unique=True),
                ),
                (
                    "mlflow_experiment",
                    models.ForeignKey(
                        blank=True,
                        db_column="mlflow_experiment_id",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="runs",
                        to="training.mlflowexperiment",
                        to_field="mlflow_id",
                    ),
                ),
                (
                    "mlflow_available",
                    models.BooleanField(
                        default=False,
                        help_text="Everything of this run has been written to MLflow.",
                    ),
                ),
                ("deleted_in_mlflow", models.BooleanField(default=False)),
                (
                    "ended_in_mlflow",
                    models.BooleanField(
                        default=False, help_text="It had ended there when its row was last written."
                    ),
                ),
                ("journal_id", models.CharField(blank=True, max_length=64)),
                (
                    "user_name",
                    models.CharField(blank=True, help_text="As MLflow has it.", max_length=200),
                ),
                ("params", models.JSONField(default=dict, help_text="As MLflow has them.")),
                (
                    "metrics",
                    models.JSONField(default=dict, help_text="Latest values, as MLflow has them."),
                ),
                ("tags", models.JSONField(default=dict, help_text="As MLflow has them.")),
                (
                    "datasets",
                    models.JSONField(
                        default=list,
                        help_text="[{name, digest, source_type, source, context}], as MLflow has them.",
                    ),
                ),
                (
                    "model_outputs",
                    models.JSONField(default=list, help_text="Ids of logged models, m-…."),
                ),
                (
                    "mirror_hash",
                    models.CharField(
                        blank=True,
                        help_text="Of what MLflow said when the row was last written.",
                        max_length=32,
                    ),
                ),
                ("algorithm", models.CharField(blank=True, max_length=60)),
                ("framework", models.CharField(blank=True, max_length=40)),
                ("hyperparameters", models.JSONField(default=dict)),
                ("feature_names", models.JSONField(default=list)),
                ("training_samples", models.PositiveBigIntegerField(blank=True, null=True)),
                ("validation_samples", models.PositiveBigIntegerField(blank=True, null=True)),
                ("test_samples", models.PositiveBigIntegerField(blank=True, null=True)),
                ("holdout_samples", models.PositiveBigIntegerField(blank=True, null=True)),
                ("train_metrics", models.JSONField(default=dict)),
                ("validation_metrics", models.JSONField(default=dict)),
                (
                    "test_metrics",
                    models.JSONField(
                        default=dict, help_text="{metric: value}; intervals are in `evaluation`."
                    ),
                ),
                (
                    "evaluation",
                    models.JSONField(
                        default=dict,
                        help_text="Threshold, confidence intervals, curves, confusion matrix, importance.",
                    ),
                ),
                ("primary_metric", models.CharField(blank=True, max_length=40)),
                ("threshold", models.FloatField(blank=True, null=True)),
                ("model_artifact_uri", models.TextField(blank=True)),
                ("preprocessing_artifact_uri", models.TextField(blank=True)),
                ("model_digest", models.CharField(blank=True, max_length=64)),
                ("compute_type", models.CharField(blank=True, max_length=40)),
                ("optuna_study_name", models.CharField(blank=True, max_length=200)),
                ("optuna_trial_number", models.PositiveIntegerField(blank=True, null=True)),
                ("is_best_trial", models.BooleanField(blank=True, null=True)),
                (
                    "request",
                    models.JSONField(
                        default=dict, help_text="What was asked: trials, timeout, strategy."
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="jobs.job",
                    ),
                ),
                ("attempt", models.PositiveIntegerField(default=0)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("completed_at", models.DateTimeField(blank=True, null=True)),
                ("duration_seconds", models.FloatField(blank=True, null=True)),
            ],
            options={
                "db_table": "ml_training_runs",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["role", "-started_at"], name="run_by_start"),
                    models.Index(fields=["experiment", "-id"], name="run_by_experiment"),
                    models.Index(fields=["status"], name="run_by_status"),
                    models.Index(fields=["started_at", "id"], name="run_by_time"),
                    models.Index(
                        condition=models.Q(("mirror_hash", ""), ("source", "e2i")),
                        fields=["mlflow_run_id"],
                        name="run_not_mirrored",
                    ),
                    models.Index(
                        condition=models.Q(("deleted_in_mlflow", True)),
                        fields=["mlflow_run_id"],
                        name="run_deleted",
                    ),
                    models.Index(
                        django.db.models.functions.text.Upper("user_name"), name="run_by_user"
                    ),
                    models.Index(
                        fields=["mlflow_experiment", "started_at", "id"], name="run_by_mlflow_time"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["scheduled", "running", "finished", "failed", "killed"])
                        ),
                        name="run_status_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("source__in", ["e2i", "mlflow"])),
                        name="run_source_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "role__in",
                                [
                                    "training",
                                    "selection",
                                    "candidate",
                                    "trial",
                                    "deployment",
                                    "other",
                                ],
                            )
                        ),
                        name="run_role_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("mlflow_available", False),
                            ("mlflow_run_id__isnull", False),
                            _connector="OR",
                        ),
                        name="run_available_has_mlflow_id",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("mlflow_run_id", ""), _negated=True),
                        name="run_mlflow_id_not_empty",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SplitDefinition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "training_run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="split",
                        to="training.trainingrun",
                    ),
                ),
                (
                    "strategy",
                    models.CharField(
                        choices=[
                            ("stratified", "Stratified"),
                            ("grouped", "Grouped"),
                            ("chronological", "Chronological"),
                            ("random", "Random"),
                        ],
                        max_length=14,
                    ),
                ),
                ("seed", models.IntegerField()),
                ("group_columns", models.JSONField(default=list)),
                (
                    "sizes",
                    models.JSONField(
                        default=dict, help_text="Rows in train, validation, test, holdout."
                    ),
                ),
                (
                    "digests",
                    models.JSONField(
                        default=dict, help_text="SHA-256 of each split's row numbers."
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "ml_split_definitions",
            },
        ),
        migrations.CreateModel(
            name="RunMetric",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run", "key", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="metric_rows",
                        to="training.trainingrun",
                    ),
                ),
                ("key", models.TextField()),
                ("value", models.FloatField()),
            ],
            options={
                "db_table": "ml_run_metrics",
                "indexes": [
                    models.Index(fields=["key", "value", "run"], name="run_metric_by_value")
                ],
            },
        ),
        migrations.CreateModel(
            name="PipelineNode",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "training_run",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="nodes",
                        to="training.trainingrun",
                    ),
                ),
                (
                    "selection",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="nodes",
                        to="training.selection",
                    ),
                ),
                ("attempt", models.PositiveIntegerField(default=1)),
                ("position", models.PositiveIntegerField(help_text="Order of starting, from 1.")),
                ("name", models.CharField(max_length=60)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("succeeded", "Done"),
                            ("failed", "Failed"),
                            ("blocked", "Blocked"),
                            ("skipped", "Skipped"),
                            ("interrupted", "Interrupted"),
                        ],
                        default="running",
                        max_length=12,
                    ),
                ),
                ("detail", models.JSONField(default=dict)),
                ("done", models.PositiveIntegerField(default=0)),
                ("total", models.PositiveIntegerField(default=0)),
                ("error", models.TextField(blank=True)),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "ml_pipeline_nodes",
                "ordering": ["attempt", "position"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("selection__isnull", True), ("training_run__isnull", False)),
                            models.Q(("selection__isnull", False), ("training_run__isnull", True)),
                            _connector="OR",
                        ),
                        name="node_has_one_owner",
                    ),
                    models.UniqueConstraint(
                        fields=("training_run", "attempt", "position"), name="node_position_a_run"
                    ),
                    models.UniqueConstraint(
                        fields=("selection", "attempt", "position"),
                        name="node_position_a_selection",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "outcome__in",
                                [
                                    "running",
                                    "succeeded",
                                    "failed",
                                    "blocked",
                                    "skipped",
                                    "interrupted",
                                ],
                            )
                        ),
                        name="node_outcome_is_legal",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DataQualityReport",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "training_run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="data_quality",
                        to="training.trainingrun",
                    ),
                ),
                (
                    "score",
                    models.FloatField(
                        help_text="0 to 1; null when nothing could be measured.", null=True
                    ),
                ),
                (
                    "dimensions",
                    models.JSONField(
                        default=dict,
                        help_text="Completeness, validity, …: {score, weight, detail}.",
                    ),
                ),
                (
                    "blocking",
                    models.JSONField(default=list, help_text="Reasons why training was refused."),
                ),
                ("warnings", models.JSONField(default=list)),
                ("passed", models.BooleanField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "ml_data_quality_reports",
            },
        ),
        migrations.CreateModel(
            name="Trial",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "study",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="trials",
                        to="training.study",
                    ),
                ),
                (
                    "training_run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="trials",
                        to="training.trainingrun",
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("complete", "Complete"),
                            ("pruned", "Pruned"),
                            ("failed", "Failed"),
                        ],
                        max_length=10,
                    ),
                ),
                ("value", models.FloatField(blank=True, null=True)),
                ("params", models.JSONField(default=dict)),
                (
                    "intermediate",
                    models.JSONField(
                        default=dict, help_text="{step: value} that pruning looked at."
                    ),
                ),
                ("error", models.TextField(blank=True)),
                ("seconds", models.FloatField(blank=True, null=True)),
                ("is_best", models.BooleanField(default=False)),
                ("mlflow_run_id", models.CharField(blank=True, max_length=64, null=True)),
            ],
            options={
                "db_table": "ml_hpo_trials",
                "ordering": ["study", "number"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("study", "number"), name="trial_number_a_study"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("is_best", True)),
                        fields=("training_run",),
                        name="trial_one_best_a_run",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["complete", "pruned", "failed"])),
                        name="trial_state_is_legal",
                    ),
                ],
            },
        ),
    ]
