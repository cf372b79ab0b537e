"""What the new columns of 0007 hold for the rows that were there."""

from django.db import migrations


def by_name(apps, schema_editor):
    """Nobody chose "default": it was the value that every model began with."""
    models = apps.get_model("registry", "RegisteredModel")
    models.objects.filter(policy_name="default").update(policy_name="")


def registered_by(apps, schema_editor):
    changes = apps.get_model("registry", "StageChange").objects.filter(cause="registered")
    entries = apps.get_model("registry", "RegistryEntry").objects
    for entry, actor in changes.exclude(actor=None).values_list("entry_id", "actor_id").iterator():
        entries.filter(pk=entry).update(registered_by_id=actor)


class Migration(migrations.Migration):
    dependencies = [("registry", "0007_policy_documents")]
    operations = [
        migrations.RunPython(by_name, migrations.RunPython.noop),
        migrations.RunPython(registered_by, migrations.RunPython.noop),
    ]
