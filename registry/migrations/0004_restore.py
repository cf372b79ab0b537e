"""A version comes back from the archive by a reviewed restore."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0003_hidden"),
    ]

    operations = [
        migrations.AlterField(
            model_name="stagechange",
            name="cause",
            field=models.CharField(
                choices=[
                    ("registered", "Registered"),
                    ("promotion", "Promotion"),
                    ("successor", "Archived for its successor"),
                    ("rollback", "Rollback"),
                    ("restore", "Restore"),
                    ("deprecation", "Deprecation"),
                    ("emergency", "Emergency stop"),
                ],
                max_length=12,
            ),
        ),
    ]
