"""The seven roles as groups, and answers given once to repeated calls."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

ROLES = (
    "viewer",
    "requester",
    "reviewer",
    "approver",
    "deployer",
    "auditor",
    "administrator",
)


def create_roles(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for name in ROLES:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    initial = True

    # The steps by which databases made before came here.
    replaces = [
        ("accounts", "0001_roles"),
        ("accounts", "0002_idempotency"),
    ]

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="IdempotencyRecord",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=200)),
                (
                    "request_hash",
                    models.CharField(help_text="Of method, path and body.", max_length=64),
                ),
                (
                    "status_code",
                    models.PositiveSmallIntegerField(
                        help_text="Null while the first call is still being answered.", null=True
                    ),
                ),
                ("body", models.JSONField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "api_idempotency",
                "indexes": [models.Index(fields=["created_at"], name="idempotency_by_age")],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "key"), name="idempotency_key_a_user")
                ],
            },
        ),
        migrations.RunPython(create_roles, migrations.RunPython.noop),
    ]
