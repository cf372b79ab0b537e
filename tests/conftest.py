"""Fixtures for every test, and a closing that says what the run covered."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from e2i_site.core.roles import Role
from tests import flush, mlflow_process, services
from tests.factories.people import PASSWORD, give_roles
from tests.services import Missing

# What starts the whole system.
SYSTEM = Path(__file__).with_name("e2e")
# A test that uses one of these is about the world outside the database: once is enough.
OUTSIDE = {"mlflow_server", "chromium"}
# Begun first, so that nobody waits for one of them at the end.
LONGEST = (
    "authorization/",
    "browser/test_pages.py",
    "deployments/test_lifecycle.py",
    "mlflow_connector/test_identity.py",
    "registry/gates/",
    "registry/sync/",
    "registry/test_machine.py",
    "registry/test_random_walk.py",
    "run/test_brokers.py",
)
# What pages show is tried on one database; authorization/test_away.py opens each on both.
PAGES = (
    "accounts/test_views.py",
    "activity/test_pages.py",
    "audit/test_pages.py",
    "core/test_home.py",
    "deployments/views/",
    "jobs/test_views.py",
    "notifications/test_pages.py",
    "registry/views/",
    "training/views/",
    "trail/test_views.py",
)
COVERED = ("mlflow", "browser", "rabbitmq", "redis", "embedded_broker")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Migrate once; transactional tests go back to exactly that."""
    from django.db import connection
    from django.test import TransactionTestCase

    with django_db_blocker.unblock():
        flush.remember_pristine()

    def teardown(self: TransactionTestCase) -> None:
        flush.restore_pristine()

    TransactionTestCase._fixture_teardown = teardown  # type: ignore[method-assign]
    yield
    if connection.vendor == "postgresql":
        # Threads that a test started may still hold connections; they would keep the database.
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def people(db: None) -> SimpleNamespace:
    """One user a role, named like it (people.approver), and people.outsider without any."""
    users = {"outsider": User.objects.create_user("outsider", password=PASSWORD)}
    for role in Role.values:
        users[role] = User.objects.create_user(
            role, f"{role}@example.org", PASSWORD, first_name="Pat", last_name=role.title()
        )
    give_roles({users[role]: [role] for role in Role.values})
    return SimpleNamespace(**users)


@pytest.fixture
def browser(db: None) -> Callable[[User], Client]:
    """Somebody's browser, logged in."""

    def login(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return login


@pytest.fixture
def known_status(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The state of the site is read for all pages together, every few seconds; not counted here."""
    from e2i_site import status

    monkeypatch.setattr(status, "CACHE_SECONDS", 600)
    cache.delete(status.CACHE_KEY)
    status.site_status()
    yield
    cache.delete(status.CACHE_KEY)


@pytest.fixture
def quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs wait: the broker takes messages to nobody."""
    monkeypatch.setattr("e2i_site.jobs.tasks.run.apply_async", lambda *args, **kwargs: None)


@pytest.fixture(scope="session")
def mlflow_server() -> str:
    """URL of a real MLflow server, one for the whole run. Use names of your own in it."""
    return mlflow_process.shared_server(Path(os.environ["E2I_TEST_DIR"]))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; the test is skipped where there is none."""
    return _needed(services.chromium())


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    return _needed(services.rabbitmq())


@pytest.fixture(scope="session")
def redis_url() -> str:
    return _needed(services.redis())


@pytest.fixture
def database_url(transactional_db: None) -> str:
    """URL of the test database, for processes that a test starts."""
    from django.db import connection

    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{given['NAME']}"
    login = given["USER"] + (f":{given['PASSWORD']}" if given["PASSWORD"] else "")
    if socket := given["OPTIONS"].get("host"):
        return f"postgresql://{login}@/{given['NAME']}?host={socket}"
    return f"postgresql://{login}@{given['HOST']}:{given['PORT'] or 5432}/{given['NAME']}"


def _needed(found: str | Missing) -> str:
    if isinstance(found, Missing):
        pytest.skip(found.reason)
    return found


# --- which tests run, and what they covered -------------------------------------------------


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by what they use; on PostgreSQL keep those that a database can make fail."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        for fixture, mark in (
            ("mlflow_server", "mlflow"),
            ("chromium", "browser"),
            ("rabbitmq_url", "rabbitmq"),
            ("redis_url", "redis"),
        ):
            if fixture in names:
                item.add_marker(mark)
    items.sort(key=lambda item: _is_in(item, LONGEST), reverse=True)
    kept = [item for item in items if _is_asked_for(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def _is_in(item: pytest.Item, places: tuple[str, ...]) -> bool:
    return item.path.relative_to(Path(__file__).parent).as_posix().startswith(places)


def _is_asked_for(item: pytest.Item) -> bool:
    """By the part of the suite that `python -m tests` wants, and by the database."""
    part = os.environ.get("E2I_TEST_PART")
    if part and (part == "system") != item.path.is_relative_to(SYSTEM):
        return False
    return not os.environ.get("TEST_DATABASE_URL") or _depends_on_the_database(item)


def _depends_on_the_database(item: pytest.Item) -> bool:
    if item.get_closest_marker("both_databases"):
        return True
    names = set(getattr(item, "fixturenames", ()))
    uses_it = item.get_closest_marker("django_db") or names & {"db", "transactional_db"}
    outside = names & OUTSIDE or item.get_closest_marker("once") or item.get_closest_marker("e2e")
    return bool(uses_it) and not outside and not _is_in(item, PAGES)


class Coverage:
    """Counts passed tests a mark, and reasons of skips, in the process that reports."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.passed and report.when == "call":
            self.passed.update(mark for mark in COVERED if mark in report.keywords)
        elif report.skipped and isinstance(report.longrepr, tuple):
            self.skipped[report.longrepr[2].removeprefix("Skipped: ")] += 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.section("covered")
        terminalreporter.line(f"database         {_database()}")
        for mark in COVERED:
            count = self.passed[mark]
            line = f"{count} tests" if count else "not covered"
            terminalreporter.line(f"{mark.replace('_', ' '):16} {line}")
        for reason, count in self.skipped.items():
            terminalreporter.line(f"skipped          {count} tests: {reason}")


def _database() -> str:
    from django.conf import settings

    url = os.environ.get("TEST_DATABASE_URL")
    if not url:
        import sqlite3

        return f"SQLite {sqlite3.sqlite_version}"
    chosen = settings.DATABASES["default"]
    return f"PostgreSQL at {chosen['HOST'] or 'a local socket'}:{chosen['PORT'] or 5432}"


# What importing and collecting made lives to the end: the collector need not look through it.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Coverage(), "e2i-coverage")
