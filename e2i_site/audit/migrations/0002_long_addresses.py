"""Addresses of models with the longest names, which percent signs make many times longer."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="finding",
            name="subject_url",
            field=models.TextField(blank=True),
        ),
        migrations.AlterField(
            model_name="subjectresult",
            name="subject_url",
            field=models.TextField(blank=True),
        ),
    ]
