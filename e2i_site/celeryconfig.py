"""Celery's settings and the schedule. Celery imports this when it first needs them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from kombu.entity import Queue

# As in jobs.wakeup, which cannot be imported before the apps are loaded.
LIGHT_QUEUE, ISOLATED_QUEUE = "light", "isolated"

broker_url: str = settings.CELERY_BROKER_URL
broker_connection_retry_on_startup = True
broker_connection_timeout = 3
broker_transport_options: dict[str, Any] = {}
if broker_url.startswith("sqla"):
    from kombu.transport import sqlalchemy as embedded

    # It reads its polling interval from the class, not from its options.
    embedded.Transport.polling_interval = 0.2
if broker_url.startswith("sqla+sqlite"):
    broker_transport_options = {"connect_args": {"timeout": 20}}
elif broker_url.startswith("redis"):
    # Publishing must fail soon: whoever clicked is waiting, and the sweep wakes the job anyway.
    broker_transport_options = {"socket_connect_timeout": 3, "socket_timeout": 30}

# Quorum queues outlive the loss of one RabbitMQ node.
_arguments = {"x-queue-type": "quorum"} if broker_url.startswith("amqp") else None
task_queues = [
    Queue(name, queue_arguments=_arguments)  # type: ignore[no-untyped-call]
    for name in (LIGHT_QUEUE, ISOLATED_QUEUE)
]
task_default_queue = LIGHT_QUEUE
# Acknowledged when taken: a lease that runs out brings a lost job back on every broker, while
# late acknowledgement of an hour's training makes RabbitMQ close the channel.
task_acks_late = False
task_ignore_result = True
result_expires = None
task_serializer = "json"
accept_content = ["json"]
worker_consumer = "e2i_site.consumer:PlainConsumer"
worker_prefetch_multiplier = 1
# Jobs are cancelled through their rows, so nobody needs remote control or events.
worker_enable_remote_control = False
worker_send_task_events = False
worker_hijack_root_logger = False
timezone = "UTC"


def _every(kind: str, interval: timedelta) -> dict[str, Any]:
    """A periodic job: the schedule only asks for it; its row decides whether it runs."""
    return {"task": "jobs.every", "args": [kind], "schedule": interval}


beat_scheduler = "django_celery_beat.schedulers:DatabaseScheduler"
beat_schedule = {
    "free and wake jobs": {"task": "jobs.sweep", "schedule": timedelta(seconds=5)},
    "delete old jobs": {"task": "jobs.prune", "schedule": timedelta(hours=1)},
    "mirror MLflow": _every("mlflow.sync", timedelta(seconds=30)),
    "look after MLflow's webhook": _every("mlflow.webhook", timedelta(minutes=1)),
    "settle trainings": _every("training.settle", timedelta(seconds=30)),
    "watch deployments": _every("deployments.watch", timedelta(seconds=15)),
    "refresh promotions": _every("registry.refresh_promotions", timedelta(seconds=30)),
    "look after notifications": _every("notifications.sweep", timedelta(minutes=5)),
    "tell the guard": _every("registry.publish_governed", timedelta(seconds=30)),
    "deadlines of promotions": _every("registry.deadlines", timedelta(minutes=5)),
    "audit": _every("audit.run", timedelta(minutes=15)),
    "empty the embedded broker": {"task": "broker.purge", "schedule": timedelta(minutes=10)},
}
