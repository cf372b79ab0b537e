"""Who is told what, where and when."""

import secrets
import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Message",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("event", models.CharField(max_length=80)),
                ("title", models.CharField(max_length=300)),
                ("text", models.TextField(blank=True)),
                (
                    "url",
                    models.CharField(
                        blank=True, help_text="Path of its page on this site.", max_length=500
                    ),
                ),
                ("subject_type", models.CharField(max_length=80)),
                ("subject_id", models.CharField(max_length=80)),
                ("subject_label", models.CharField(max_length=300)),
                (
                    "scope",
                    models.CharField(blank=True, help_text="Such as model:churn.", max_length=300),
                ),
                ("actor_name", models.CharField(max_length=200)),
                (
                    "key",
                    models.CharField(
                        blank=True, help_text="At most one message a key.", max_length=200
                    ),
                ),
                ("at", models.DateTimeField()),
            ],
            options={
                "db_table": "notification_message",
                "ordering": ["-at"],
                "indexes": [models.Index(fields=["at"], name="notification_by_age")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("key", ""), _negated=True),
                        fields=("key",),
                        name="notification_once_a_key",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                (
                    "kind",
                    models.CharField(
                        choices=[("signed", "Signed JSON"), ("slack", "Slack-compatible")],
                        default="signed",
                        max_length=8,
                    ),
                ),
                ("url", models.CharField(max_length=1000)),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty for one that administrators keep for everybody.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhooks",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "scope",
                    models.CharField(
                        blank=True,
                        help_text="Such as model:churn; empty for every model.",
                        max_length=300,
                    ),
                ),
                ("events", models.JSONField(blank=True, default=list, help_text="Empty for all.")),
                ("salt", models.CharField(default=secrets.token_urlsafe, max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "notification_webhook",
                "ordering": ["name", "id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["signed", "slack"])),
                        name="webhook_kind_is_legal",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ChannelChoice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="channel_choices",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("event", models.CharField(max_length=80)),
                (
                    "channel",
                    models.CharField(
                        choices=[("inbox", "Inbox"), ("email", "E-mail"), ("webhook", "Webhook")],
                        max_length=8,
                    ),
                ),
                ("wanted", models.BooleanField()),
            ],
            options={
                "db_table": "notification_channel_choice",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "event", "channel"), name="channel_choice_once_an_event"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Watch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="watches",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("scope", models.CharField(max_length=300)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "watches",
                "db_table": "notification_watch",
                "indexes": [models.Index(fields=["scope"], name="watch_by_scope")],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "scope"), name="watch_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "message",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="notifications.message",
                    ),
                ),
                (
                    "channel",
                    models.CharField(
                        choices=[("inbox", "Inbox"), ("email", "E-mail"), ("webhook", "Webhook")],
                        max_length=8,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "webhook",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="deliveries",
                        to="notifications.webhook",
                    ),
                ),
                (
                    "recipient",
                    models.CharField(help_text="As text, secrets masked.", max_length=300),
                ),
                ("token", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("queued", "Queued"), ("sent", "Sent"), ("failed", "Failed")],
                        default="queued",
                        max_length=8,
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField()),
                ("last_error", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "db_table": "notification_delivery",
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["state", "-id"], name="delivery_by_state")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("channel", "email")),
                        fields=("message", "user"),
                        name="delivery_one_mail_a_person",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("webhook__isnull", False)),
                        fields=("message", "webhook"),
                        name="delivery_once_a_webhook",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["queued", "sent", "failed"])),
                        name="delivery_state_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("channel__in", ["email", "webhook"])),
                        name="delivery_channel_is_legal",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "sent"), _negated=True),
                            ("sent_at__isnull", False),
                            _connector="OR",
                        ),
                        name="delivery_sent_has_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="InboxItem",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "message",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="inbox_items",
                        to="notifications.message",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="inbox_items",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "why",
                    models.CharField(
                        choices=[("concerns", "It concerns you"), ("watch", "You watch it")],
                        max_length=10,
                    ),
                ),
                ("read_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "notification_inbox_item",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["user", "-id"], name="inbox_by_user"),
                    models.Index(
                        condition=models.Q(("read_at__isnull", True)),
                        fields=["user"],
                        name="inbox_unread",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("message", "user"), name="inbox_once_a_person")
                ],
            },
        ),
    ]
