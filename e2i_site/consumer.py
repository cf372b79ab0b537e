"""Celery's consumer without what E2I does not use."""

from __future__ import annotations

from celery.worker.consumer import Consumer


class PlainConsumer(Consumer):
    """No delayed delivery: it would declare 28 queues on RabbitMQ, for tasks with an ETA."""

    class Blueprint(Consumer.Blueprint):
        default_steps = [
            step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step
        ]
