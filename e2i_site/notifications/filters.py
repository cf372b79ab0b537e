"""Filters of the log of deliveries."""

from __future__ import annotations

import django_filters
from django import forms

from e2i_site.notifications.models import Channel, DeliveryState

_OUTSIDE = [(channel.value, channel.label) for channel in (Channel.EMAIL, Channel.WEBHOOK)]


class DeliveryFilter(django_filters.FilterSet):
    """Deliveries by recipient, state and channel."""

    recipient = django_filters.CharFilter(
        lookup_expr="icontains",
        label="Recipient",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "name or address"}),
    )
    state = django_filters.ChoiceFilter(choices=DeliveryState.choices, empty_label="Any")
    channel = django_filters.ChoiceFilter(choices=_OUTSIDE, empty_label="Any")
