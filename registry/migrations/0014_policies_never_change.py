"""The database itself refuses to change or delete a published policy, on both engines.

SQLite drops a table's triggers when a migration rebuilds it: whoever alters this table adds them
again.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

SAYS = "a published policy cannot be changed or deleted"
POSTGRESQL = f"""
CREATE FUNCTION policy_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{SAYS}'; END $$;
CREATE TRIGGER policy_no_change BEFORE UPDATE OR DELETE ON ml_promotion_policies
  FOR EACH ROW EXECUTE FUNCTION policy_refuse();
CREATE TRIGGER policy_no_truncate BEFORE TRUNCATE ON ml_promotion_policies
  FOR EACH STATEMENT EXECUTE FUNCTION policy_refuse();
"""
# INSERT OR REPLACE deletes without firing delete triggers.
SQLITE = (
    f"""CREATE TRIGGER policy_no_update BEFORE UPDATE ON ml_promotion_policies
    BEGIN SELECT RAISE(ABORT, '{SAYS}'); END""",
    f"""CREATE TRIGGER policy_no_delete BEFORE DELETE ON ml_promotion_policies
    BEGIN SELECT RAISE(ABORT, '{SAYS}'); END""",
    f"""CREATE TRIGGER policy_no_replace BEFORE INSERT ON ml_promotion_policies
    WHEN EXISTS (SELECT 1 FROM ml_promotion_policies
                 WHERE id = NEW.id OR (name = NEW.name AND version = NEW.version))
    BEGIN SELECT RAISE(ABORT, '{SAYS}'); END""",  # noqa: S608 - a constant
)


def protect(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRESQL)
    else:
        for statement in SQLITE:
            schema_editor.execute(statement)


def release(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER policy_no_change ON ml_promotion_policies")
        schema_editor.execute("DROP TRIGGER policy_no_truncate ON ml_promotion_policies")
        schema_editor.execute("DROP FUNCTION policy_refuse()")
    else:
        for name in ("policy_no_update", "policy_no_delete", "policy_no_replace"):
            schema_editor.execute(f"DROP TRIGGER {name}")


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0013_review_flow"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AlterField(
            model_name="promotionpolicy",
            name="published_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunPython(protect, release),
    ]
