"""A void approval stays on record; the same person may approve the same evidence again."""

from django.db import migrations, models

NAME = "review_one_approval_a_person_and_evidence"


class Migration(migrations.Migration):
    dependencies = [("registry", "0005_stricter_default_policy")]

    operations = [
        migrations.RemoveConstraint("review", NAME),
        migrations.AddConstraint(
            "review",
            models.UniqueConstraint(
                fields=["promotion", "reviewer", "binding_hash"],
                condition=models.Q(decision="approve", void_reason=""),
                name=NAME,
            ),
        ),
    ]
