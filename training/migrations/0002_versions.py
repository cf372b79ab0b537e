"""The version that a run was for, and indexes that Django cannot describe."""

import django.db.models.deletion
from django.db import migrations, models

GIN = {
    "run_by_param": "CREATE INDEX run_by_param ON ml_training_runs USING gin (params jsonb_path_ops)",
    "run_by_tag": "CREATE INDEX run_by_tag ON ml_training_runs USING gin (tags jsonb_path_ops)",
}


def index_json(apps, schema_editor):
    """Exact matches of a parameter or a tag; SQLite has no such index."""
    if schema_editor.connection.vendor == "postgresql":
        for statement in GIN.values():
            schema_editor.execute(statement)


def drop_json_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in GIN:
            schema_editor.execute(f"DROP INDEX {name}")


class Migration(migrations.Migration):
    # The steps by which databases made before came here.
    replaces = [
        ("training", "0002_mirror"),
        ("training", "0003_changes"),
        ("training", "0004_sync"),
        ("training", "0005_run_by_user"),
    ]

    dependencies = [
        ("training", "0001_initial"),
        ("registry", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="trainingrun",
            name="registry_entry",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.registryentry",
            ),
        ),
        migrations.RunPython(index_json, drop_json_indexes),
    ]
