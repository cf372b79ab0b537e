"""Addresses of models with the longest names, which percent signs make many times longer."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="message",
            name="url",
            field=models.TextField(blank=True, help_text="Path of its page on this site."),
        ),
    ]
