"""A live site, a live worker, a real MLflow: how soon a page shows an alias that others moved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from django.test import Client

from e2i_site.mlflow_connector import get_connector, webhooks
from registry.mirror import mirror_model
from tests.activity.conftest import Others
from tests.mlflow_process import answers, stop_group
from tests.services import free_port

ROOT = Path(__file__).resolve().parents[2]
SOON = 2.0


@pytest.fixture
def site(
    database_url: str, mlflow_server: str, others: Others, settings: Any, tmp_path: Path
) -> Iterator[Any]:
    """Web and worker as processes of their own, and the environment of their commands."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "e2i_site.settings",
        "DATABASE_URL": database_url,
        "CELERY_BROKER_URL": f"sqla+sqlite:///{tmp_path / 'broker.sqlite3'}",
        "SECRET_KEY": settings.SECRET_KEY,
        "E2I_DATA_DIR": str(tmp_path),
        "E2I_SITE_URL": url,
        "MLFLOW_TRACKING_URI": mlflow_server,
        "DEBUG": "1",  # static files as they lie
    }
    commands = (
        ("gunicorn", "e2i_site.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "2"),
        ("celery", "-A", "e2i_site", "worker", "--pool", "threads", "--queues", "light",
         "--without-gossip", "--without-mingle", "--without-heartbeat"),
    )  # fmt: skip
    with (tmp_path / "log").open("ab") as log:
        started = [
            subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True,
            )
            for command in commands
        ]  # fmt: skip
    end = time.monotonic() + 60
    while not answers(f"{url}/healthz"):
        assert time.monotonic() < end, (tmp_path / "log").read_text()[-3000:]
        time.sleep(0.1)
    yield url, environment
    # MLflow tries again and again to reach a site that is gone, which delays every other delivery.
    connector = get_connector()
    for each in webhooks.find(connector, f"{url}/webhooks/mlflow"):
        webhooks.delete(connector, each.webhook_id)
    time.sleep(1.1)  # MLflow keeps its list of webhooks for a second.
    for process in started:
        stop_group(process.pid, politely=1)


def _shown(client: httpx.Client, name: str, words: str, seconds: float) -> float:
    """Seconds until the model's page shows the words."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        page = client.get(f"/registry/models/{name}/")
        assert page.status_code == 200
        if words in page.text:
            return time.monotonic() - begun
        time.sleep(0.02)
    raise AssertionError(f"{words} did not appear within {seconds} s")


def test_a_moved_alias_is_on_the_page_within_two_seconds(
    site: Any, others: Others, people: Any
) -> None:
    url, environment = site
    name = others.model(versions=2)
    others.connector.set_alias(name, "team", 1)
    mirror_model(name)
    command = [sys.executable, "manage.py", "mlflow_webhooks", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    state = json.loads(done.stdout)
    assert state["works"]
    assert state["verified"] >= 1  # others may change something meanwhile
    session = Client()
    session.force_login(User.objects.get(username="viewer"))
    cookies = {name: morsel.value for name, morsel in session.cookies.items()}
    with httpx.Client(base_url=url, cookies=cookies, timeout=10) as browser:
        took = []
        time.sleep(1.1)  # MLflow keeps its list of webhooks for a second.
        # The worker may still be starting: the first one only has to arrive.
        for version, limit in (("2", 30.0), ("1", SOON), ("2", SOON)):
            others.connector.set_alias(name, "team", version)
            took.append(_shown(browser, name, f"team</span> v{version}", limit))
    print("seconds until the page showed it:", [round(each, 2) for each in took])
