"""The default policy; and the database itself refuses to change or delete a published one.

SQLite drops a table's triggers when a migration rebuilds it: whoever alters this table adds them
again.
"""

from django.db import migrations

REVIEWERS = {"count": 1, "roles": ["reviewer", "approver"]}
APPROVERS = {"count": 1, "roles": ["approver"]}
BASICS = [{"id": "artifact_digest"}, {"id": "signature"}, {"id": "lineage"}]

STAGES = {
    "staging": {
        "gates": [*BASICS, {"id": "data_quality"}, {"id": "success_criteria"}],
        "approvals": REVIEWERS,
    },
    "shadow": {
        "gates": [*BASICS, {"id": "success_criteria"}, {"id": "champion_comparison"}],
        "approvals": REVIEWERS,
    },
    "production": {
        "gates": [
            *BASICS,
            {"id": "champion_comparison"},
            {"id": "shadow_evidence"},
            {"id": "open_findings", "blocking": ["P0", "P1"]},
        ],
        "approvals": APPROVERS,
        "shadow": {
            "hours": 24,
            "requests": 1000,
            "error_rate": 0.01,
            "p99_ms": 150,
            "alpha": 0.05,
            "sequential": True,
        },
    },
    "archived": {"gates": [], "approvals": REVIEWERS},
}


def publish(apps, schema_editor):
    policy = apps.get_model("registry", "PromotionPolicy")
    policy.objects.get_or_create(
        name="default",
        version=1,
        defaults={
            "description": "24 hours and 1000 requests in shadow, then an approver's decision.",
            "stages": STAGES,
        },
    )


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
    # The steps by which databases made before came here.
    replaces = [
        ("registry", "0002_initial"),
        ("registry", "0003_default_policy"),
        ("registry", "0004_signatures"),
        ("registry", "0005_void_reason"),
        ("registry", "0006_changes"),
        ("registry", "0007_policy_documents"),
        ("registry", "0008_policy_by_name"),
        ("registry", "0009_emergency"),
        ("registry", "0010_promotion_carried"),
        ("registry", "0011_measurements"),
        ("registry", "0012_sync"),
        ("registry", "0013_review_flow"),
        ("registry", "0014_policies_never_change"),
        ("registry", "0015_models_search"),
    ]

    dependencies = [("registry", "0001_initial")]

    operations = [
        migrations.RunPython(publish, migrations.RunPython.noop),
        migrations.RunPython(protect, release),
    ]
