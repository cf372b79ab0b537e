"""The default policy: the rules that hold until somebody publishes others."""

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


class Migration(migrations.Migration):
    dependencies = [("registry", "0002_initial")]
    operations = [migrations.RunPython(publish, migrations.RunPython.noop)]
