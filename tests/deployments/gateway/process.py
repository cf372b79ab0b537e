"""A real gateway process on the test's database and artifact store."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from django.conf import settings

from tests.services import free_port


@contextmanager
def running_gateway(database_url: str, port: int | None = None) -> Iterator[str]:
    """Start `uvicorn deployments.gateway.asgi:app`; gives its URL, stops it at the end."""
    port = port or free_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "e2i_site.settings",
        "DATABASE_URL": database_url,
        "E2I_DATA_DIR": str(settings.DATA_DIR),
        "GATEWAY_PORT": str(port),
    }
    command = [sys.executable, "-m", "uvicorn", "deployments.gateway.asgi:app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    log = settings.DATA_DIR / "gateway.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, cwd=settings.BASE_DIR, env=environment, stdout=out, stderr=out
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(process, url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_up(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, (settings.DATA_DIR / "gateway.log").read_text()[-3000:]
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("The gateway did not start.")
