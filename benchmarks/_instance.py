"""A whole E2I for benchmarks: the supervisor in a temporary directory, on free ports."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks._harness import say

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Instance:
    """A running E2I. `started` is time.monotonic() at the launch."""

    pid: int
    site: str
    mlflow: str
    gateway: str
    environment: dict[str, str]
    started: float
    log: Path

    def wait(self, url: str, seconds: float) -> float:
        """Seconds since the launch at which `url` first answered. TimeoutError otherwise."""
        while time.monotonic() - self.started < seconds:
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
                return time.monotonic() - self.started
            time.sleep(0.1)
        raise TimeoutError(f"{url} did not answer in {seconds} s:\n{self.tail()}")

    def wait_for_line(self, text: str, seconds: float) -> float:
        """Seconds since the launch at which the log held `text`."""
        while time.monotonic() - self.started < seconds:
            if text in self.log.read_text(errors="replace"):
                return time.monotonic() - self.started
            time.sleep(0.2)
        raise TimeoutError(f"No line with {text!r} in {seconds} s:\n{self.tail()}")

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


@contextlib.contextmanager
def running(*, demo: bool, data_dir: Path | None = None) -> Iterator[Instance]:
    """Start everything, and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="e2i-bench-") as folder:
        data = data_dir or Path(folder) / "data"
        data.mkdir(parents=True, exist_ok=True)
        ports = dict(zip(("WEB_PORT", "MLFLOW_PORT", "GATEWAY_PORT"), _free_ports(3), strict=True))
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("E2I_", "MLFLOW_"))},
            **{name: str(port) for name, port in ports.items()},
            "E2I_DATA_DIR": str(data),
            "E2I_DEMO": "1" if demo else "0",
        }
        log = Path(folder) / "log"
        with log.open("wb") as output:
            started = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-m", "e2i_site.run"],
                stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=ROOT,
            )  # fmt: skip
        site, mlflow, gateway = (f"http://127.0.0.1:{port}" for port in ports.values())
        say(f"started E2I in {data}, site {site}")
        try:
            yield Instance(process.pid, site, mlflow, gateway, environment, started, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
