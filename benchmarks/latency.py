"""How soon the page of a model shows an alias that somebody moved in MLflow, past E2I.

A whole E2I is started. A plain client of MLflow's REST API moves an alias, and the page is asked
for over HTTP until it shows that: first with MLflow's webhook, then with the webhook taken out,
when the sync, every 30 seconds, is what sees it.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time

import httpx

from benchmarks._harness import Report, parser, say
from benchmarks._instance import ROOT, Instance, running

GOALS = {"with the webhook": 2.0, "without it": 35.0}
PAUSE = 0.05
LONGEST = 120.0
NAME, PERSON = "moved", "benchmark"
# MLflow keeps its list of webhooks for so long: a new one may be told nothing, an old one more.
MLFLOW_FORGETS = 62.0


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--moves", type=int, default=10, help="with the webhook")
    arguments.add_argument("--moves-without", type=int, default=2)
    options = arguments.parse_args()
    with_it = options.moves * (5 if options.full else 1)
    without = options.moves_without * (5 if options.full else 1)
    report = Report("latency", {"moves": with_it, "moves_without": without})
    with running(demo=False) as instance:
        measure(report, instance, with_it, without)
    report.notes += [
        f"Goals: {', '.join(f'{how} {seconds:g} s' for how, seconds in GOALS.items())}.",
        f"From the answer to the client's call until a page that shows it, asked for every "
        f"{PAUSE:g} s. Without the webhook the moves come at moments without relation to the sync.",
    ]
    report.finish()


def measure(report: Report, instance: Instance, with_it: int, without: int) -> None:
    """Move the alias to and fro, with the webhook and then without."""
    instance.wait(f"{instance.site}/healthz", 120)
    instance.wait(f"{instance.mlflow}/health", 120)
    cookies = {"sessionid": _session(instance)}
    with (
        httpx.Client(base_url=instance.site, cookies=cookies, timeout=30) as page,
        httpx.Client(base_url=f"{instance.mlflow}/api/2.0/mlflow/", timeout=30) as client,
    ):
        _call(client, "registered-models/create", name=NAME)
        for _ in range(2):
            _call(client, "model-versions/create", name=NAME, source="s3://somewhere/else")
        state = json.loads(_manage(instance, "mlflow_webhooks", "--json"))
        if not state["works"]:
            raise RuntimeError(f"MLflow's webhook does not work: {state}")
        known = time.monotonic() + MLFLOW_FORGETS
        while _moves(client, page, 2)[-1] > GOALS["with the webhook"]:
            if time.monotonic() > known:
                break  # then that is what it takes
        _tell(report, "with the webhook", _moves(client, page, with_it))
        _manage(instance, "mlflow_webhooks", "--remove")
        say(f"waiting {MLFLOW_FORGETS:g} s, until MLflow is sure to have forgotten its webhook")
        time.sleep(MLFLOW_FORGETS)
        _tell(report, "without it", _moves(client, page, without, apart=30))


def _moves(
    client: httpx.Client, page: httpx.Client, number: int, *, apart: float = 0.5
) -> list[float]:
    """Seconds until each move was on the page."""
    found = []
    for move in range(number):
        time.sleep(random.uniform(0, apart))
        version = str(move % 2 + 1)
        _call(client, "registered-models/alias", name=NAME, alias="team", version=version)
        begun = time.monotonic()
        while f"team</span> v{version}" not in page.get(f"/registry/models/{NAME}/").text:
            if time.monotonic() - begun > LONGEST:
                raise RuntimeError(f"Move {move + 1} was not on the page after {LONGEST:g} s.")
            time.sleep(PAUSE)
        found.append(time.monotonic() - begun)
        say(f"move {move + 1} of {number}: {found[-1]:.2f} s")
    return found


def _tell(report: Report, how: str, times: list[float]) -> None:
    report.add(f"alias on the page {how}, median", statistics.median(times), "s")
    report.add(f"alias on the page {how}, slowest", max(times), "s")


def _call(client: httpx.Client, path: str, **body: str) -> None:
    client.post(path, json=body).raise_for_status()


def _session(instance: Instance) -> str:
    """The session cookie of somebody who may look."""
    code = (
        "from django.contrib.auth.models import Group, User\n"
        "from django.test import Client\n"
        f"user = User.objects.create_user({PERSON!r})\n"
        "user.groups.add(Group.objects.get(name='viewer'))\n"
        "client = Client(SERVER_NAME='localhost')\n"
        "client.force_login(user, backend='django.contrib.auth.backends.ModelBackend')\n"
        "print('session', client.cookies['sessionid'].value)"
    )
    return _manage(instance, "shell", "-v", "0", "-c", code).rpartition("session ")[2].strip()


def _manage(instance: Instance, *words: str) -> str:
    site = {
        "DJANGO_SETTINGS_MODULE": "e2i_site.settings",
        "E2I_SITE_URL": instance.site,
        "MLFLOW_TRACKING_URI": instance.mlflow,
    }
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT, env={**os.environ, **instance.environment, **site},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"manage.py {words[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
