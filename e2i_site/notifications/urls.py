"""Addresses below /notifications/."""

from __future__ import annotations

from django.urls import path

from e2i_site.notifications.views import inbox, webhooks, wishes

app_name = "notifications"
urlpatterns = [
    path("", inbox.inbox, name="inbox"),
    path("<int:pk>/", inbox.open_item, name="open"),
    path("read/", inbox.read_all, name="read_all"),
    path("unread/", inbox.unread, name="unread"),
    path("preferences/", wishes.preferences, name="preferences"),
    path("watch/", wishes.set_watch, name="watch"),
    path("log/", webhooks.log, name="log"),
    path("log/<int:pk>/resend/", webhooks.resend, name="resend"),
    path("webhooks/", webhooks.shared, name="shared"),
    path("webhooks/own/", webhooks.add_own, name="add_own"),
    path("webhooks/<int:pk>/remove/", webhooks.remove, name="remove"),
    path("webhooks/<int:pk>/renew/", webhooks.renew, name="renew"),
]
