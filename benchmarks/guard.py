"""What the guard costs calls that it does not refuse: MLflow's server with it and without.

Servers of the same kind, one behind the guard with a list of governed models as long as a large
installation's, are asked the same calls in turns, one at a time. A second one without the guard
shows how far two equal servers differ. The guard's own share is measured apart, without a server:
what it does to a call, in microseconds.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import requests

from benchmarks._harness import Report, parser, quantile, say
from benchmarks._parts import folder

WARM = 6
API = "/api/2.0/mlflow/"
Call = tuple[str, str, dict[str, Any]]


class Client:
    """Asks one server over one connection, as MLflow's own client does, by requests."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()

    def request(self, method: str, path: str, body: dict[str, Any]) -> requests.Response:
        url = f"{self._url}{API}{path}"
        return self._session.request(method, url, json=body or None, timeout=60)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=150, help="calls of each kind and server")
    arguments.add_argument("--models", type=int, default=2000, help="governed models")
    arguments.add_argument("--versions", type=int, default=10_000, help="governed versions")
    options = arguments.parse_args()
    rounds = options.rounds * (5 if options.full else 1)
    report = Report(
        "guard",
        sizes={"rounds": rounds, "models": options.models, "versions": options.versions},
    )
    with folder() as place:
        listing = place / "governed.json"
        listing.write_text(json.dumps(_document(options.models, options.versions)))
        _alone(report, listing)
        _side_by_side(report, place, listing, rounds)
    report.notes += [
        "ours: behind the guard; theirs: the same server without it, asked in turns.",
        "Equal servers: another one without the guard against the same, what is not the guard's.",
        "The guard's own time is its reading and judging of the call, without the server's.",
    ]
    report.finish()


def _document(models: int, versions: int) -> dict[str, Any]:
    return {
        "site": "http://127.0.0.1:8000",
        "models": [f"e2i_model_{number}" for number in range(models)],
        "versions": [
            {
                "model": f"e2i_model_{number % models}",
                "version": str(number // models + 1),
                "promotion": number,
                "run": uuid.uuid4().hex,
                "ended": True,
                "logged_model": f"m-{uuid.uuid4().hex}",
                "note": uuid.uuid4().hex * 2,
            }
            for number in range(versions)
        ],
        "experiments": {str(10_000 + number): "e2i_model_0" for number in range(models)},
    }


def _calls(run_id: str, experiment: str) -> dict[str, Call]:
    """Everyday calls, none of which the guard refuses."""
    now = int(time.time() * 1000)
    metrics = [
        {"key": f"metric_{n}", "value": n / 7, "timestamp": now, "step": 0} for n in range(1000)
    ]
    tags = [{"key": f"tag_{n}", "value": "a value"} for n in range(5)]
    return {
        "runs/get": ("GET", f"runs/get?run_id={run_id}", {}),
        "runs/search": (
            "POST", "runs/search", {"experiment_ids": [experiment], "max_results": 20}
        ),
        "runs/log-metric": ("POST", "runs/log-metric", {"run_id": run_id, **metrics[0]}),
        "runs/log-batch, 19 items": (
            "POST", "runs/log-batch", {"run_id": run_id, "metrics": metrics[:14], "tags": tags}
        ),
        "runs/log-batch, 1000 metrics": (
            "POST", "runs/log-batch", {"run_id": run_id, "metrics": metrics}
        ),
    }  # fmt: skip


def _alone(report: Report, listing: Path) -> None:
    """The guard around an application that does nothing, less that application itself."""
    from e2i_site.mlflow_connector.guard.governed import GovernedFile
    from e2i_site.mlflow_connector.guard.middleware import Guard

    async def nothing(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        while (await receive()).get("more_body"):
            pass

    guard = Guard(nothing, token="a token", listing=GovernedFile(listing))

    async def seconds(app: Any, call: Call, times: int = 300) -> float:
        method, path, body = call
        path, _, query = path.partition("?")
        sent = json.dumps(body).encode()
        scope = {
            "type": "http", "method": method, "path": API + path,
            "query_string": query.encode(), "headers": [(b"content-type", b"application/json")],
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": sent, "more_body": False}

        taken = []
        for _ in range(times):
            start = time.perf_counter()
            await app(scope, receive, None)
            taken.append(time.perf_counter() - start)
        return statistics.median(taken)

    for name, call in _calls(uuid.uuid4().hex, "1").items():
        own = asyncio.run(seconds(guard, call)) - asyncio.run(seconds(nothing, call))
        report.add(f"the guard's own time: {name}", max(own, 0.0) * 1e6, "µs")


def _side_by_side(report: Report, place: Path, listing: Path, rounds: int) -> None:
    from tests.mlflow_process import start_server, stop_group

    guard = {
        "DJANGO_SETTINGS_MODULE": "e2i_site.settings",
        "E2I_DATA_DIR": str(place / "data"),
        "E2I_GUARD_TOKEN": "a token",
        "E2I_GUARD_LIST": str(listing),
    }
    # mlflow_server writes what its own database knows, which is nothing; the list comes after.
    content = listing.read_text()
    servers = {
        "ours": start_server(place / "with", guard=guard),
        "theirs": start_server(place / "without"),
        "equal": start_server(place / "equal"),
    }
    listing.write_text(content)
    try:
        clients = {name: Client(url) for name, (_, url) in servers.items()}
        calls = {name: _calls(*_a_run(client)) for name, client in clients.items()}
        for kind in calls["ours"]:
            taken = _in_turns(
                {name: (clients[name], calls[name][kind]) for name in servers}, rounds
            )
            for share in (0.5, 0.25):
                at = {name: quantile(each, share) * 1000 for name, each in taken.items()}
                what = f"{kind}: p{share * 100:g}"
                report.add(what, at["ours"], "ms", theirs=at["theirs"])
                report.add(f"{what}, equal servers", at["equal"], "ms", theirs=at["theirs"])
    finally:
        for pid, _ in servers.values():
            stop_group(pid)
    say("the servers are stopped")


def _in_turns(asked: dict[str, tuple[Client, Call]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call by server, sorted; every order of the servers comes equally often."""
    taken: dict[str, list[float]] = {name: [] for name in asked}
    orders = itertools.cycle(itertools.permutations(asked))
    for turn, order in zip(range(rounds + WARM), orders, strict=False):
        for name in order:
            seconds = _seconds(*asked[name])
            if turn >= WARM:
                taken[name].append(seconds)
    return {name: sorted(each) for name, each in taken.items()}


def _a_run(client: Client) -> tuple[str, str]:
    made = client.request("POST", "experiments/create", {"name": uuid.uuid4().hex}).json()
    experiment = str(made["experiment_id"])
    body = {"experiment_id": experiment, "start_time": int(time.time() * 1000)}
    run = client.request("POST", "runs/create", body).json()
    return str(run["run"]["info"]["run_id"]), experiment


def _seconds(client: Client, call: Call) -> float:
    method, path, body = call
    start = time.perf_counter()
    answer = client.request(method, path, body)
    taken = time.perf_counter() - start
    answer.raise_for_status()
    return taken


if __name__ == "__main__":
    main()
