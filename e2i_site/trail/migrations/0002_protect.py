"""The database itself refuses to change or delete trail entries, on both engines."""

from django.db import migrations

POSTGRESQL = """
CREATE FUNCTION trail_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'trail entries cannot be changed or deleted'; END $$;
CREATE TRIGGER trail_no_change BEFORE UPDATE OR DELETE ON trail_entry
  FOR EACH ROW EXECUTE FUNCTION trail_refuse();
CREATE TRIGGER trail_no_truncate BEFORE TRUNCATE ON trail_entry
  FOR EACH STATEMENT EXECUTE FUNCTION trail_refuse();
"""
SQLITE = """
CREATE TRIGGER trail_no_update BEFORE UPDATE ON trail_entry
BEGIN SELECT RAISE(ABORT, 'trail entries cannot be changed or deleted'); END;
CREATE TRIGGER trail_no_delete BEFORE DELETE ON trail_entry
BEGIN SELECT RAISE(ABORT, 'trail entries cannot be changed or deleted'); END;
CREATE TRIGGER trail_no_replace BEFORE INSERT ON trail_entry
WHEN EXISTS (SELECT 1 FROM trail_entry WHERE id = NEW.id OR hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'trail entries cannot be changed or deleted'); END;
"""


def protect(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRESQL)
    else:
        for statement in SQLITE.split("END;"):
            if statement.strip():
                schema_editor.execute(statement + "END;")


def release(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER trail_no_change ON trail_entry")
        schema_editor.execute("DROP TRIGGER trail_no_truncate ON trail_entry")
        schema_editor.execute("DROP FUNCTION trail_refuse()")
    else:
        schema_editor.execute("DROP TRIGGER trail_no_update")
        schema_editor.execute("DROP TRIGGER trail_no_delete")
        # INSERT OR REPLACE deletes without firing delete triggers.
        schema_editor.execute("DROP TRIGGER trail_no_replace")


class Migration(migrations.Migration):
    dependencies = [("trail", "0001_initial")]
    operations = [migrations.RunPython(protect, release)]
