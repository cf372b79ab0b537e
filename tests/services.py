"""What this machine offers to the tests: databases, brokers, a browser.

Each function returns what was found, or `Missing` with the reason that the summary prints.
"""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

AMQP_URL = os.environ.get("TEST_AMQP_URL", "amqp://guest:guest@localhost:5672//")
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://localhost:6379/15")
LOCAL_POSTGRES = "postgresql://postgres@localhost:5432/postgres"
CHROMIUM_NAMES = (
    # It has no window to draw, and takes two thirds of the processor.
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)


@dataclass(frozen=True)
class Missing:
    """A service that is not there, and why."""

    reason: str


def chromium() -> str | Missing:
    """Path of a Chromium; E2I_TEST_CHROMIUM overrides."""
    given = os.environ.get("E2I_TEST_CHROMIUM")
    if given:
        return (
            given
            if os.access(given, os.X_OK)
            else Missing(f"E2I_TEST_CHROMIUM={given}: no such program")
        )
    for name in CHROMIUM_NAMES:
        if path := shutil.which(name):
            return path
    return Missing("no Chromium on PATH")


def rabbitmq() -> str | Missing:
    """URL of a RabbitMQ that lets us in."""
    import kombu

    try:
        with kombu.Connection(AMQP_URL, connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
    except Exception as error:
        return Missing(f"no RabbitMQ at {_place(AMQP_URL)} ({type(error).__name__})")
    return AMQP_URL


def redis() -> str | Missing:
    """URL of a Redis that answers; its database 15 is used."""
    import redis as client

    try:
        client.Redis.from_url(REDIS_URL, socket_connect_timeout=2).ping()
    except Exception as error:
        return Missing(f"no Redis at {_place(REDIS_URL)} ({type(error).__name__})")
    return REDIS_URL


def local_postgres() -> str | Missing:
    """URL of a PostgreSQL on localhost that trusts the user postgres."""
    if (problem := postgres_problem(LOCAL_POSTGRES)) is not None:
        return Missing(f"no PostgreSQL at {_place(LOCAL_POSTGRES)} ({problem})")
    return LOCAL_POSTGRES


def postgres_problem(url: str) -> str | None:
    """Why `url` cannot be used for tests, or None."""
    import psycopg2

    try:
        with psycopg2.connect(url, connect_timeout=3) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            )
            return None if cursor.fetchone()[0] else "the user may not create databases"
    except psycopg2.Error as error:
        return str(error).strip().splitlines()[0]


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}"
