"""The Celery application. Messages are only wake-ups; the Job row is the truth."""

from __future__ import annotations

import os
import warnings

from celery import Celery
from celery.platforms import SecurityWarning

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "e2i_site.settings")
# Being root matters where messages are unpickled; ours are JSON.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("e2i")
app.config_from_object("e2i_site.celeryconfig")
app.autodiscover_tasks()


@app.task(name="broker.purge")
def purge_delivered() -> None:
    """Delete delivered messages, which the embedded broker keeps; other brokers keep none."""
    with app.connection_for_write() as connection:
        if connection.transport.driver_type != "sql":
            return
        channel = connection.default_channel
        delivered = channel.session.query(channel.message_cls).filter_by(visible=False)
        delivered.delete(synchronize_session=False)
        channel.session.commit()
