"""The default policy asks for more, where a site still has it as it came.

Approvals under version 1 are void where version 2 says something else about their stage. Who
published a default policy of their own keeps it; `policies/default.yaml` is what this one says.
"""

from importlib import import_module

from django.db import migrations

REVIEWERS = {"count": 1, "roles": ["reviewer", "approver"]}
APPROVERS = {"count": 1, "roles": ["approver"]}
KNOWN = [{"id": "artifact_digest"}]
VERIFIED = [*KNOWN, {"id": "artifact_verified"}]
DECLARED = [{"id": "signature"}, {"id": "lineage"}]
COMPARED = [{"id": "champion_comparison"}, {"id": "compatible_signature"}]
REPORTED = [
    {"id": gate_id, "dry_run": True}
    for gate_id in ("calibration", "resources", "dependencies", "model_signature", "model_card")
]

STAGES = {
    "staging": {
        "gates": [
            *KNOWN,
            *DECLARED,
            {"id": "data_quality"},
            {"id": "success_criteria"},
            *REPORTED,
        ],
        "approvals": REVIEWERS,
    },
    "shadow": {
        "gates": [*VERIFIED, *DECLARED, {"id": "success_criteria"}, *COMPARED, *REPORTED],
        "approvals": REVIEWERS,
    },
    "production": {
        "gates": [
            *VERIFIED,
            *DECLARED,
            *COMPARED,
            {"id": "shadow_evidence"},
            {"id": "rollback_readiness"},
            {"id": "open_findings", "blocking": ["P0", "P1"]},
            *REPORTED,
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
    first = import_module("registry.migrations.0002_policies").STAGES
    newest = policy.objects.filter(name="default").order_by("-version").first()
    if newest is None or newest.stages != first:
        return
    policy.objects.create(
        name="default",
        version=newest.version + 1,
        description=newest.description,
        notice=newest.notice,
        model_patterns=newest.model_patterns,
        stages=STAGES,
    )


class Migration(migrations.Migration):
    dependencies = [("registry", "0004_restore")]

    operations = [migrations.RunPython(publish, migrations.RunPython.noop)]
