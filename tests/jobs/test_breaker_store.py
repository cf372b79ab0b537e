"""The breaker's state is one for all processes, and no update is lost."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from django.db import connection

from e2i_site.jobs.breaker_store import DatabaseStore
from e2i_site.mlflow_connector.breaker import Breaker, BreakerData, Opening
from e2i_site.mlflow_connector.errors import Unreachable


@pytest.mark.django_db
def test_it_keeps_everything() -> None:
    data = BreakerData(state="open", failures=5, trials=(1.5, 2.5), openings=(Opening(1.0, "x"),))
    assert DatabaseStore().read() == BreakerData()
    assert DatabaseStore().update(lambda before: data) == data
    assert DatabaseStore().read() == data


@pytest.mark.django_db
def test_two_breakers_on_it_open_together() -> None:
    first, second = Breaker(DatabaseStore()), Breaker(DatabaseStore())
    for breaker in (first, second, first, second, first):
        with pytest.raises(Unreachable), breaker.guard():
            raise Unreachable("connection refused")
    assert second.snapshot().state == "open"
    with pytest.raises(Unreachable, match="not asked"), second.guard():
        pytest.fail("an open breaker lets nobody through")


@pytest.mark.django_db(transaction=True)
def test_no_update_is_lost() -> None:
    def work() -> None:
        for _ in range(10):
            DatabaseStore().update(
                lambda data: replace(data, failures_total=data.failures_total + 1)
            )
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert DatabaseStore().read().failures_total == 40
