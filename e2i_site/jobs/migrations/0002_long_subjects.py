"""Subjects with room for the longest names of models."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="job",
            name="subject",
            field=models.CharField(blank=True, max_length=300),
        ),
    ]
