"""Fewer indexes over runs, most of which are others' and mirrored: those over what is rarely known
leave out where it is not, those that another one begins with are gone, and ids and names of metrics
are compared by bytes. docs/benchmarks.md says what a first import gains."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import e2i_site.core.fields

KEPT = ("dataset", "selection", "registry_entry", "parent", "job", "created_by")


def by_bytes(apps, schema_editor):
    """SQLite compares so anyway."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE ml_run_metrics ALTER COLUMN key TYPE text COLLATE "C"')


def by_language(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            'ALTER TABLE ml_run_metrics ALTER COLUMN key TYPE text COLLATE "default"'
        )


def unindexed(name, to, on_delete, **more):
    key = models.ForeignKey(null=True, db_index=False, on_delete=on_delete, to=to, **more)
    return migrations.AlterField("trainingrun", name, key)


def protected(name, to, **more):
    protect = django.db.models.deletion.PROTECT
    return unindexed(name, to, protect, **{"blank": True, "related_name": "training_runs"} | more)


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0001_initial"),
        ("registry", "0005_stricter_default_policy"),
        ("training", "0004_search_names"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(by_bytes, by_language)],
            [migrations.AlterField("runmetric", "key", e2i_site.core.fields.KeyField())],
        ),
        migrations.AlterField(
            "trainingrun",
            "mlflow_run_id",
            e2i_site.core.fields.IdentifierField(blank=True, max_length=64, null=True),
        ),
        migrations.AddConstraint(
            "trainingrun",
            models.UniqueConstraint(fields=["mlflow_run_id"], name="run_mlflow_id_once"),
        ),
        unindexed(
            "created_by",
            settings.AUTH_USER_MODEL,
            django.db.models.deletion.SET_NULL,
            related_name="+",
        ),
        unindexed(
            "job", "jobs.job", django.db.models.deletion.SET_NULL, blank=True, related_name="+"
        ),
        protected("experiment", "training.experiment"),
        protected("dataset", "training.dataset"),
        protected("selection", "training.selection"),
        protected("registry_entry", "registry.registryentry", related_name="+"),
        protected("parent", "training.trainingrun", related_name="children"),
        protected(
            "mlflow_experiment",
            "training.mlflowexperiment",
            related_name="runs",
            db_column="mlflow_experiment_id",
            to_field="mlflow_id",
        ),
        *(
            migrations.AddIndex(
                "trainingrun",
                models.Index(
                    fields=[name],
                    name=f"run_by_{name}",
                    condition=models.Q((f"{name}__isnull", False)),
                ),
            )
            for name in KEPT
        ),
    ]
