"""What people are told: messages, inboxes, deliveries to the outside, and who wants what."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.crypto import salted_hmac

from e2i_site.notifications import events


class Channel(models.TextChoices):
    INBOX = "inbox", "Inbox"
    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"


class Why(models.TextChoices):
    CONCERNS = "concerns", "It concerns you"
    WATCH = "watch", "You watch it"


class WebhookKind(models.TextChoices):
    SIGNED = "signed", "Signed JSON"
    SLACK = "slack", "Slack-compatible"


class DeliveryState(models.TextChoices):
    QUEUED = "queued", "Queued"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"


class Message(models.Model):
    """One thing to tell. Names are text, so that it outlives what it speaks of."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.CharField(max_length=80)
    title = models.CharField(max_length=300)
    text = models.TextField(blank=True)
    url = models.TextField(blank=True, help_text="Path of its page on this site.")
    subject_type = models.CharField(max_length=80)
    subject_id = models.CharField(max_length=80)
    subject_label = models.CharField(max_length=300)
    scope = models.CharField(max_length=300, blank=True, help_text="Such as model:churn.")
    actor_name = models.CharField(max_length=200)
    key = models.CharField(max_length=200, blank=True, help_text="At most one message a key.")
    at = models.DateTimeField()

    class Meta:
        db_table = "notification_message"
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=~Q(key=""), name="notification_once_a_key"
            )
        ]
        indexes = [models.Index(fields=["at"], name="notification_by_age")]

    def __str__(self) -> str:
        return self.title

    @property
    def event_label(self) -> str:
        return events.label(self.event)

    @property
    def absolute_url(self) -> str:
        """Its address for people who read it elsewhere."""
        return f"{settings.SITE_URL.rstrip('/')}{self.url}" if self.url else settings.SITE_URL


class InboxItem(models.Model):
    """A message in one person's inbox."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="inbox_items")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="inbox_items"
    )
    why = models.CharField(max_length=10, choices=Why.choices)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "notification_inbox_item"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["message", "user"], name="inbox_once_a_person"),
        ]
        indexes = [
            models.Index(fields=["user", "-id"], name="inbox_by_user"),
            # The count beside the bell.
            models.Index(fields=["user"], condition=Q(read_at__isnull=True), name="inbox_unread"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.message}"

    def get_absolute_url(self) -> str:
        return reverse("notifications:open", args=[self.pk])


class Webhook(models.Model):
    """An address outside that is told. With an owner: what that person is told.

    Its secret is never stored: it is derived from the site's key and `salt`.
    """

    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=8, choices=WebhookKind.choices, default=WebhookKind.SIGNED)
    url = models.CharField(max_length=1000)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="webhooks",
        help_text="Empty for one that administrators keep for everybody.",
    )
    scope = models.CharField(
        max_length=300, blank=True, help_text="Such as model:churn; empty for every model."
    )
    events = models.JSONField(default=list, blank=True, help_text="Empty for all.")
    salt = models.CharField(max_length=64, default=secrets.token_urlsafe)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "notification_webhook"
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=WebhookKind.values), name="webhook_kind_is_legal"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def secret(self) -> str:
        """What its signatures are made with; shown to people once."""
        return salted_hmac(
            "e2i.notifications.webhook", f"{self.pk}:{self.salt}", algorithm="sha256"
        ).hexdigest()

    @property
    def masked_url(self) -> str:
        """Where it leads, without the path: that of Slack is a secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}/…"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, now: datetime) -> DeliveryQuerySet:
        return self.filter(state=DeliveryState.QUEUED, next_attempt_at__lte=now)


class Delivery(models.Model):
    """A message on its way to one address outside: an outbox row.

    `token` names it in every attempt, so that a receiver can tell a repetition.
    """

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=8, choices=Channel.choices)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
    )
    webhook = models.ForeignKey(
        Webhook, null=True, blank=True, on_delete=models.SET_NULL, related_name="deliveries"
    )
    recipient = models.CharField(max_length=300, help_text="As text, secrets masked.")
    token = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    state = models.CharField(
        max_length=8, choices=DeliveryState.choices, default=DeliveryState.QUEUED
    )
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    last_error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        db_table = "notification_delivery"
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["message", "user"],
                condition=Q(channel=Channel.EMAIL),
                name="delivery_one_mail_a_person",
            ),
            models.UniqueConstraint(
                fields=["message", "webhook"],
                condition=Q(webhook__isnull=False),
                name="delivery_once_a_webhook",
            ),
            models.CheckConstraint(
                condition=Q(state__in=DeliveryState.values), name="delivery_state_is_legal"
            ),
            models.CheckConstraint(
                condition=Q(channel__in=[Channel.EMAIL, Channel.WEBHOOK]),
                name="delivery_channel_is_legal",
            ),
            models.CheckConstraint(
                condition=~Q(state=DeliveryState.SENT) | Q(sent_at__isnull=False),
                name="delivery_sent_has_time",
            ),
        ]
        indexes = [models.Index(fields=["state", "-id"], name="delivery_by_state")]

    def __str__(self) -> str:
        return f"{self.message} to {self.recipient}"


class ChannelChoice(models.Model):
    """That a person wants, or does not want, one event on one channel; absent: wanted."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="channel_choices"
    )
    event = models.CharField(max_length=80)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    wanted = models.BooleanField()

    class Meta:
        db_table = "notification_channel_choice"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "event", "channel"], name="channel_choice_once_an_event"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.event} by {self.channel}"


class Watch(models.Model):
    """A person wants to hear what happens to a scope, such as model:churn."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="watches"
    )
    scope = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "notification_watch"
        verbose_name_plural = "watches"
        constraints = [models.UniqueConstraint(fields=["user", "scope"], name="watch_once")]
        indexes = [models.Index(fields=["scope"], name="watch_by_scope")]

    def __str__(self) -> str:
        return f"{self.user} watches {self.scope}"
