"""Start E2I: check, prepare, run, and on the first start show the demo."""

from __future__ import annotations

import asyncio
import os
import shlex
import string
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from e2i_site.core import env
from e2i_site.core.errors import ConfigurationError
from e2i_site.run import preflight
from e2i_site.run.supervisor import Program, Supervisor

ROOT = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 90


class NotReady(Exception):
    """Preparation failed and has already said why."""


def main() -> int:
    try:
        environment = _environment()
        own_mlflow = "MLFLOW_TRACKING_URI" not in os.environ
        preflight.check_ports(_ports(environment, own_mlflow))
        lock = preflight.lock_data_dir(Path(environment["E2I_DATA_DIR"]))
    except ConfigurationError as error:
        sys.stderr.write(f"e2i: {error}\n")
        return 2
    with lock:
        try:
            asyncio.run(_run(environment, own_mlflow))
        except NotReady:
            return 2
    return 0


async def _run(environment: dict[str, str], own_mlflow: bool) -> None:
    programs = read_procfile(ROOT / "Procfile", environment)
    async with Supervisor(environment, ROOT) as supervisor:
        supervisor.say("Preparing the database and the static files.")
        if await supervisor.run_once(_python("", "-m", "e2i_site.run.prepare")):
            if supervisor.stop.is_set():
                return
            raise NotReady
        # The site first: people may look while the rest, much slower to import, comes up.
        supervisor.keep(programs.pop("web"))
        site = f"http://127.0.0.1:{environment['WEB_PORT']}"
        if await _answers(supervisor, f"{site}/healthz"):
            supervisor.say(f"The site is at {site}. Ctrl-C stops everything.")
        health = f"{environment['MLFLOW_TRACKING_URI'].rstrip('/')}/health"
        mlflow = programs.pop("mlflow")
        if own_mlflow:
            supervisor.keep(mlflow)
            supervisor.keep(programs.pop("gateway"))
            # Who asks it before it is there finds it away, and every page says so for a while.
            await _answers(supervisor, health)
        for program in programs.values():
            supervisor.keep(program)
        await _demo(supervisor, health, site)
        await supervisor.stop.wait()


async def _demo(supervisor: Supervisor, mlflow_health: str, site: str) -> None:
    """Run the demo until it has once been completed; the database knows."""
    if supervisor.stop.is_set() or not env.flag("E2I_DEMO", default=True):
        return
    if await supervisor.run_once(_demo_command("--status")) == 0:
        await supervisor.run_once(_demo_command("--logins"))
        return
    if not await _answers(supervisor, mlflow_health):
        supervisor.say("MLflow does not answer; the demo is tried at the next start.")
        return
    supervisor.say("First start: the demo lifecycle runs now, on real data. Watch it grow.")
    status = await supervisor.run_once(_demo_command())
    if supervisor.stop.is_set():
        return
    if status:
        supervisor.say("The demo did not finish; see above. It goes on at the next start.")
    else:
        supervisor.say(f"The demo is complete. The site is at {site}.")


def _demo_command(*arguments: str) -> Program:
    return _python("demo", "manage.py", "demo", *arguments)


async def _answers(supervisor: Supervisor, url: str) -> bool:
    """Wait until a GET of `url` succeeds; False when it does not in time, or at the stop."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        if await asyncio.to_thread(_succeeds, url):
            return True
        if await supervisor.pause(0.2):
            return False
    supervisor.say(f"{url} did not answer within {WAIT_SECONDS} s; see the lines above.")
    return False


def _succeeds(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - from settings
            return bool(response.status == 200)
    except (OSError, ValueError):
        return False


def _python(name: str, *arguments: str) -> Program:
    return Program(name, (sys.executable, *arguments))


def _environment() -> dict[str, str]:
    """The children's environment. Raises ConfigurationError when ours does not parse."""
    from e2i_site import settings

    cores = os.cpu_count() or 1
    trainers = env.integer("E2I_TRAINERS", min(2, cores), minimum=1)
    return {
        # Threads of trainings side by side must not crowd each other out.
        "OMP_NUM_THREADS": str(max(1, cores // trainers)),
        # glibc keeps an arena a thread and core otherwise: hundreds of megabytes.
        "MALLOC_ARENA_MAX": "2",
        # What an installation does is nobody else's business.
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # So that the MLflow started here may tell the site of changes, over http on this machine.
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": preflight.fernet_key(settings.DATA_DIR),
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "e2i_site.settings",
        "E2I_DATA_DIR": str(settings.DATA_DIR),
        "E2I_TRAINERS": str(trainers),
        "WEB_PORT": str(settings.WEB_PORT),
        "MLFLOW_PORT": str(settings.MLFLOW_PORT),
        "GATEWAY_PORT": str(settings.GATEWAY_PORT),
        "MLFLOW_TRACKING_URI": settings.MLFLOW_TRACKING_URI,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _ports(environment: dict[str, str], own_mlflow: bool) -> dict[str, int]:
    variables = ["WEB_PORT", "GATEWAY_PORT", *(["MLFLOW_PORT"] if own_mlflow else [])]
    return {variable: int(environment[variable]) for variable in variables}


def read_procfile(path: Path, environment: dict[str, str]) -> dict[str, Program]:
    """The programs of a Procfile; `$NAME` is taken from `environment`."""
    programs = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, command = line.partition(": ")
        words = [string.Template(word).substitute(environment) for word in shlex.split(command)]
        programs[name] = Program(name, tuple(words))
    return programs


if __name__ == "__main__":
    sys.exit(main())
