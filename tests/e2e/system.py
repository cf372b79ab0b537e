"""The whole system as a user starts it, in a directory of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.services import free_port

ROOT = Path(__file__).resolve().parents[2]
DEMO_SECONDS = 600
# What would tell the processes under test about this test run.
_OURS = ("E2I_", "MLFLOW_", "DJANGO_", "CELERY_", "PYTEST_", "SECRET_KEY", "DATABASE_URL")


class System:
    """`python -m e2i_site.run` with free ports; the demo runs in it on start."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "var"
        ports = [free_port() for _ in range(3)]
        self.web, self.mlflow, self.gateway = (f"http://127.0.0.1:{port}" for port in ports)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        self.environment = {
            **clean,
            "E2I_DATA_DIR": str(self.data),
            "WEB_PORT": str(ports[0]),
            "MLFLOW_PORT": str(ports[1]),
            "GATEWAY_PORT": str(ports[2]),
        }
        self.log = folder / "log"

    def start(self) -> None:
        """Start it, and wait until the demo is complete."""
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "e2i_site.run"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + DEMO_SECONDS
        while not self._demo_ended():
            assert self.process.poll() is None, self.tail()
            assert time.monotonic() < deadline, self.tail()
            time.sleep(2)
        assert self.command("demo", "--status", "--json")[1] == {"complete": True}, self.tail()

    def stop(self) -> None:
        """End it as Ctrl-C does; everything that it started must end with it, and soon."""
        everyone = _descendants(self.process.pid)
        self.process.send_signal(signal.SIGINT)
        try:
            assert self.process.wait(15) == 0
            assert not [pid for pid in everyone if Path(f"/proc/{pid}").exists()]
        finally:
            for pid in (self.process.pid, *everyone):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    def child(self, name: str) -> int:
        """The first process of it whose command line holds `name`."""
        for pid in _descendants(self.process.pid):
            if name in Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        raise AssertionError(f"no {name} runs")

    def _demo_ended(self) -> bool:
        text = self.log.read_text()
        return "Demo logins" in text or "The demo did not finish" in text

    def tail(self) -> str:
        lines = [line for line in self.log.read_text().splitlines() if " 200 OK" not in line]
        return "\n".join(lines[-60:])

    def command(self, *arguments: str) -> tuple[int, Any]:
        """Run a management command; its exit status and the JSON document it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            return done.returncode, json.loads(done.stdout)
        except json.JSONDecodeError:
            raise AssertionError(f"no JSON: {done.stdout[-500:]}\n{done.stderr[-2000:]}") from None

    @property
    def password(self) -> str:
        return (self.data / "demo-password").read_text().strip()

    @contextlib.contextmanager
    def client(self, user: str) -> Iterator[httpx.Client]:
        """Somebody who has logged in to the site."""
        with httpx.Client(base_url=self.web, follow_redirects=True, timeout=20) as client:
            self._log_in(client, user)
            yield client

    def _log_in(self, client: httpx.Client, user: str) -> None:
        page = client.get("/accounts/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, page.text[:500]
        answer = client.post(
            "/accounts/login/",
            data={
                "username": user,
                "password": self.password,
                "csrfmiddlewaretoken": token.group(1),
            },
            headers={"Referer": self.web},
        )
        assert answer.status_code == 200, answer.text[:500]
        assert "/accounts/login/" not in str(answer.url), "login refused"

    def api(self, path: str, **params: Any) -> Any:
        """A list of the API as an auditor sees it."""
        with self.client("otto") as client:
            answer = client.get(f"/api/v1/{path}/", params={"page_size": 500, **params})
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    def production(self) -> dict[str, Any]:
        """The version of the demo's model that the site says is in production."""
        versions = self.api("versions", stage="production")
        assert len(versions) == 1
        return dict(versions[0])


def _descendants(pid: int) -> list[int]:
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return children + [below for child in children for below in _descendants(child)]
