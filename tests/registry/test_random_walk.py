"""Whatever people do in MLflow, in whatever order, also while a sync reads, with crashes at any
statement and restarts of MLflow: the mirror never shows what was never true, and after a full
sync it equals MLflow exactly.

What a crash leaves is what others see at that moment, so crashes anywhere look at every moment.
E2I_TEST_WALKS=20 walks longer and further.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from e2i_site.activity.models import MlflowEvent
from e2i_site.mlflow_connector import MLflowConnector, get_connector
from registry.models import SyncState
from registry.sync import sync
from tests.activity.conftest import Others
from tests.faults import FaultProxy
from tests.mlflow_process import fork_server, stop_group
from tests.mlflow_store import store_like_ours
from tests.registry.walk import MODELS, RUNS, Walk

pytestmark = pytest.mark.usefixtures("quiet_broker")

WALKS = int(os.environ.get("E2I_TEST_WALKS", "2"))
STEPS = 45 if WALKS <= 2 else 150


class Killed(BaseException):
    """The process that synced is no more."""


class Server:
    """A real MLflow behind a line that can be cut; another process can take its place.

    Its store is in a database of the same kind as ours.
    """

    def __init__(self, folder: Path, store: str) -> None:
        self.folder, self.store = folder, store
        self.pid, self.url = fork_server(folder, store=store)
        self.proxy = FaultProxy(self.url)

    def restart(self) -> None:
        """The old process dies without a word, and another answers at the same address."""
        stop_group(self.pid, politely=0)
        self.pid, self.url = fork_server(self.folder, store=self.store)
        self.proxy.redirect(self.url)

    def stop(self) -> None:
        self.proxy.close()
        stop_group(self.pid)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("walked")
    with store_like_ours(folder) as store:
        server = Server(folder, store)
        yield server
        server.stop()


@contextmanager
def at_statement(number: int, happens: Callable[[], None], *, of: str = "") -> Iterator[None]:
    """Let something happen before the statement of that number, and before each one later on.

    Args:
        of: how the statements that count begin, as a pattern.
    """
    left = [number]

    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        left[0] -= bool(re.match(of, sql))
        # What a transaction did is undone by the database itself when its client dies.
        if left[0] < 0 and not sql.startswith(("ROLLBACK", "SAVEPOINT")):
            happens()
        return execute(sql, *args)

    with connection.execute_wrapper(wrapper):
        yield


def die() -> None:
    raise Killed


#: Between two of them others see the same.
WRITES = "INSERT|UPDATE|DELETE|RELEASE"


class Meanwhile:
    """A few acts, one before each statement."""

    def __init__(self, acts: list[Callable[[], None]]) -> None:
        self.acts = acts

    def __call__(self) -> None:
        if self.acts:
            self.acts.pop()()


def sync_somehow(walk: Walk, server: Server, settings: Any, *, restarting: bool) -> None:
    """A sync of any kind: whole, killed anywhere, over a line that breaks, or amid acts."""
    chance = walk.random
    settings.MLFLOW_BACKEND_STORE_URI = chance.choice(("", server.store))
    full = chance.random() < 0.4
    how = chance.choice(("whole", "killed", "killed", "line", "amid", "amid"))
    if restarting:
        settings.MLFLOW_BACKEND_STORE_URI, how = "", "restart"
    number = {"killed": chance.randrange(20), "restart": 5}.get(how, chance.randrange(90))
    happens = {
        "killed": die,
        "amid": Meanwhile([walk.act] * chance.randrange(1, 4)),
        "restart": Meanwhile([server.restart]),
    }.get(how, lambda: None)
    if how == "line":
        mode = chance.choice(("drop", "truncate", "busy"))
        server.proxy.fault(mode, "search", skip=chance.randrange(4), times=1)
    walk.did.append(f"sync {how} {number} {'full' if full else ''}")
    try:
        with at_statement(number, happens, of=WRITES if how == "killed" else ""):
            sync(full=full)
    except Killed:
        assert how == "killed"
        # Its lease runs out.
        SyncState.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    except Exception:
        assert how in ("line", "restart")
    finally:
        server.proxy.heal()


def die_everywhere(walk: Walk) -> int:
    """The same sync, killed before its first write, its second, and so on; returns how many."""
    for acts in (walk.run, walk.log, walk.log, walk.log, walk.alias, walk.rename_experiment):
        acts()
    walk.see(RUNS, MODELS)
    number, died = 0, True
    while died:
        died = False
        with transaction.atomic():
            try:
                with at_statement(number, die, of=WRITES):
                    sync(full=True)
            except Killed:
                died = True
            walk.check_nothing_was_invented()
            transaction.set_rollback(True)
        number += 1
    return number


@pytest.mark.timeout(600 if WALKS > 2 else 180)
@pytest.mark.parametrize("seed", range(WALKS))
def test_the_mirror_tells_the_truth(
    seed: int, server: Server, db: None, settings: Any, tmp_path: Path
) -> None:
    settings.MLFLOW_TRACKING_URI = server.proxy.url
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journals"
    walk = Walk(MLflowConnector(server.proxy.url, get_connector().journal_dir), seed)
    restart_at = STEPS // 2 if seed == 0 or WALKS > 2 else None
    for step in range(STEPS):
        walk.act()
        if walk.random.random() < 0.2 or step == restart_at:
            sync_somehow(walk, server, settings, restarting=step == restart_at)
            walk.check_nothing_was_invented()
    if restart_at is None or WALKS > 2:
        assert die_everywhere(walk) > 10
    sync(full=True)
    walk.see(RUNS, MODELS)
    walk.check_nothing_was_invented()
    walk.check_equal()
    again = sync(full=True)
    assert (again.runs.updated, again.models.updated, again.versions.updated) == (0, 0, 0), walk.did


def test_what_others_change_becomes_activity(
    server: Server, db: None, settings: Any, tmp_path: Path
) -> None:
    settings.MLFLOW_TRACKING_URI = server.proxy.url
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journals"
    others = Others(get_connector())
    name, run_id = others.model(versions=2), others.run(team="a")
    others.connector.set_alias(name, "team", 1)
    sync()
    others.connector.set_alias(name, "team", 2)
    others.metric(run_id, "late", 0.5)
    others.post("model-versions/delete", "DELETE", name=name, version="1")
    sync(full=True)
    fields = ("subject_kind", "kind", "key", "before", "after")
    mine = MlflowEvent.objects.filter(Q(model_name=name) | Q(subject_id=run_id))
    assert sorted(mine.values_list(*fields)) == [
        ("model", "alias_moved", "team", "1", "2"),
        ("run", "metric_added", "late", None, 0.5),
        ("version", "deleted", "", None, None),
    ]
