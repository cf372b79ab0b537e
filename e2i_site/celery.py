"""The Celery application. Messages are only wake-ups; the Job row is the truth."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "e2i_site.settings")

app = Celery("e2i")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
