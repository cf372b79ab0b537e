from django.db import migrations, models

_KEYS = {"postgresql": "jsonb_object_keys({}) AS found(key)", "sqlite": "json_each({}) AS found"}


def fill(apps, schema_editor):
    """Names of the runs that were mirrored before there was the table."""
    keys = _KEYS[schema_editor.connection.vendor]
    add = "INSERT INTO ml_search_names (kind, name) SELECT DISTINCT"
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"{add} 'metric', key FROM ml_run_metrics")
        for kind in ("param", "tag"):
            source = f"ml_training_runs run, {keys.format(f'run.{kind}s')}"
            cursor.execute(f"{add} '{kind}', found.key FROM {source}")


class Migration(migrations.Migration):
    dependencies = [
        ("training", "0003_hidden"),
    ]

    operations = [
        migrations.CreateModel(
            name="SearchName",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "kind",
                        "name",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("metric", "metric"), ("param", "param"), ("tag", "tag")],
                        max_length=10,
                    ),
                ),
                ("name", models.TextField()),
            ],
            options={"db_table": "ml_search_names"},
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
