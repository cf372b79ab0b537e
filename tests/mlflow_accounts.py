"""A real MLflow with accounts: its own basic auth, which gives nobody anything by default."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from werkzeug.security import generate_password_hash

from tests.mlflow_process import fork_server, start_server, stop_group

ADMIN = ("admin", "password of the admin")
READER = ("reader", "password of the reader")


@contextmanager
def accounts_server(folder: Path, guard: dict[str, str] | None = None) -> Iterator[str]:
    """Its URL; `ADMIN` may do everything, `READER` what was granted. With `guard` behind it."""
    settings = folder / "auth.ini"
    settings.write_text(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\n"
        f"database_uri = sqlite:///{folder}/auth.sqlite3\n"
        f"admin_username = {ADMIN[0]}\nadmin_password = {ADMIN[1]}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    start = partial(start_server, guard=guard) if guard else fork_server
    pid, url = start(
        folder,
        options=("--app-name", "basic-auth"),
        MLFLOW_AUTH_CONFIG_PATH=str(settings),
        MLFLOW_FLASK_SERVER_SECRET_KEY=uuid.uuid4().hex,
        MLFLOW_WEBHOOK_ALLOWED_SCHEMES="https",
        MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS="false",
    )
    try:
        as_admin(url, "POST", "users/create", username=READER[0], password=READER[1])
        _make_hashes_cheap(folder / "auth.sqlite3")
        yield url
    finally:
        stop_group(pid)


def _make_hashes_cheap(database: Path) -> None:
    """MLflow hashes the password at each call, which takes longer than the call."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for name, password in (ADMIN, READER):
            cheap = generate_password_hash(password, method="pbkdf2:sha256:1")
            changed = connection.execute(
                "UPDATE users SET password_hash = ? WHERE username = ?", [cheap, name]
            )
            assert changed.rowcount == 1


def permit(url: str, kind: str, key: str, *, read: bool) -> None:
    """Let `READER` read an experiment or a registered model, or not any more."""
    named = {"username": READER[0], "resource_type": kind, "resource_id": key}
    act, more = ("grant", {"permission": "READ"}) if read else ("revoke", {})
    as_admin(url, "POST", f"users/permissions/{act}", version=3, **named, **more)


def as_admin(url: str, method: str, path: str, *, version: int = 2, **body: Any) -> dict[str, Any]:
    """A call of MLflow's REST API by its administrator."""
    address = f"{url}/api/{version}.0/mlflow/{path}"
    answer = httpx.request(method, address, json=body, auth=ADMIN, timeout=30)
    answer.raise_for_status()
    return dict(answer.json())
