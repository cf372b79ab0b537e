"""Every page on the demo data: time of the answer over HTTP, and database queries.

Pages are found by following links from the home page, one page a kind: the site as an approver
sees it, the admin as the administrator does. Beside pages that MLflow has too stands the time that
MLflow's own server takes for the call its interface makes for the same content.

Without --data-dir the demo is run first, in a temporary directory. The list of runs is measured
once more among many runs, and that of models among many models, in databases of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from benchmarks._harness import Report, Result, parser, quantile, say
from benchmarks._instance import Instance, running
from benchmarks.footprint import processor_seconds
from benchmarks.trail import postgres

# Who looks at which pages, by the start of their names.
PEOPLE = {"amina": "", "admin": "admin:"}
# Not pages: they end the session, send files, or are there for machines.
SKIPPED = re.compile(
    r"/accounts/log|\.(csv|md|pdf|json)$|[?&]format=|^/(static|media|api)/|/metrics$"
    r"|^/admin/.+/(add|change|delete|password)/"
)
LINK = re.compile(r'<a\b[^>]*\shref="([^"#]+)')
DEMO_SECONDS = 900
WARM_UPS = 2
# Beyond, filling MLflow's store takes longer than measuring it.
MOST_IN_MLFLOW = 100_000
GOAL_MS, GOAL_QUERIES = 60, 10


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--data-dir", type=Path, help="of an installation with the demo; not running"
    )
    arguments.add_argument("--repeats", type=int, default=20)
    arguments.add_argument("--runs", type=int, help="in the list of runs that is searched")
    options = arguments.parse_args()
    with _data_dir(options) as folder:
        os.environ["E2I_DATA_DIR"] = str(folder)
        with running(demo=options.data_dir is None, data_dir=folder) as instance:
            instance.wait(f"{instance.site}/healthz", 120)
            if options.data_dir is None:
                say("the demo runs; about two minutes")
                instance.wait_for_line("The demo is complete", DEMO_SECONDS)
            instance.wait(f"{instance.mlflow}/health", 120)
            time.sleep(5)
            report = measure(instance, options.repeats)
    for count in [options.runs or 10_000] if not options.full else [100_000, 1_000_000]:
        _add_runs(report, count, beside_mlflow=count <= MOST_IN_MLFLOW)
    for versions in (10, 25) if options.full else (10,):
        _add_models(report, versions)
    report.finish()


def _add_runs(report: Report, count: int, *, beside_mlflow: bool) -> None:
    """The page of runs among `count`, on PostgreSQL where there is one, else on SQLite."""
    with postgres() as ours, postgres() as theirs:
        command = [sys.executable, "-m", "benchmarks._runs", "--runs", str(count)]
        command += ["--database", ours] if ours else []
        command += ["--mlflow-store", theirs.replace(":", "+psycopg2:", 1)] if theirs else []
        command += [] if beside_mlflow else ["--alone"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    place = "PostgreSQL" if ours else "SQLite"
    for each in json.loads(done.stdout)["results"]:
        what = f"{count:,} runs, {place}, {each['what']}"
        report.results.append(Result(what, each["ours"], each["unit"], each["theirs"]))
    report.notes.append(
        f"{count:,} runs: database is the time of all queries of the answer; the whole answer is "
        "of Django's test client, its comparison MLflow's REST search of the same runs."
    )


def _add_models(report: Report, versions: int) -> None:
    """The page of models among 2,000, on PostgreSQL where there is one, else on SQLite."""
    with postgres() as database:
        command = [sys.executable, "-m", "benchmarks._models", "--versions", str(versions)]
        command += ["--database", database] if database else []
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    place = "PostgreSQL" if database else "SQLite"
    for each in json.loads(done.stdout)["results"]:
        what = f"2,000 models of {versions} versions, {place}, {each['what']}"
        report.results.append(Result(what, each["ours"], each["unit"]))


@contextlib.contextmanager
def _data_dir(options: argparse.Namespace) -> Iterator[Path]:
    if options.data_dir is not None:
        yield options.data_dir.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="e2i-bench-") as folder:
        yield Path(folder)


def measure(instance: Instance, repeats: int) -> Report:
    """Time over HTTP against the running site; queries in this process, on the same database."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "e2i_site.settings"
    django.setup()
    theirs = _mlflow_times(instance, repeats)
    report = Report("pages", {"repeats": repeats})
    slow, hungry = [], []
    for person, prefix in PEOPLE.items():
        cookies = _session_of(person)
        with httpx.Client(base_url=instance.site, cookies=cookies, timeout=30) as client:
            pages = {name: path for name, path in _pages(person).items() if name.startswith(prefix)}
            for label, path in pages.items():
                before = processor_seconds(instance.pid, "web")
                times = _times(lambda path=path: client.get(path).raise_for_status(), repeats)
                used = processor_seconds(instance.pid, "web") - before
                queries = _queries(person, path)
                report.add(label, statistics.median(times), "ms", theirs=theirs.get(label))
                report.add(f"{label}, slowest of {repeats}", max(times), "ms")
                report.add(f"{label}, processor", used / (repeats + WARM_UPS) * 1000, "ms")
                report.add(f"{label}, queries", queries, "queries")
                slow += [label] * (statistics.median(times) > GOAL_MS)
                hungry += [label] * (queries > GOAL_QUERIES)
    report.notes += [
        f"Goal: at most {GOAL_MS} ms and {GOAL_QUERIES} queries. "
        f"Slower: {', '.join(slow) or 'none'}. More queries: {', '.join(hungry) or 'none'}.",
        "Times are of whole answers over HTTP on one connection, median. Comparison: the REST "
        "call of MLflow's own interface for the same content, on the MLflow server beside it. The "
        "processor time is the web server's, which other work on the machine changes little.",
    ]
    return report


def _times(call: Callable[[], Any], repeats: int) -> list[float]:
    """Milliseconds of `repeats` calls, after two that warm up."""
    for _ in range(WARM_UPS):
        call()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append((time.perf_counter() - begin) * 1000)
    return times


def _mlflow_times(instance: Instance, repeats: int) -> dict[str, float]:
    """Median milliseconds of MLflow's calls, by the page of ours that shows the same."""
    with httpx.Client(base_url=f"{instance.mlflow}/api/2.0/mlflow", timeout=30) as client:
        search = client.post("/experiments/search", json={"max_results": 1000}).json()
        experiments = [found["experiment_id"] for found in search["experiments"]]
        calls = {
            "training:home": lambda: client.post(
                "/runs/search", json={"experiment_ids": experiments, "max_results": 100}
            ),
            "training:experiments": lambda: client.post(
                "/experiments/search", json={"max_results": 100}
            ),
            "registry:home": lambda: client.get("/registered-models/search?max_results=100"),
        }
        return {
            name: quantile(_times(lambda call=call: call().raise_for_status(), repeats), 0.5)
            for name, call in calls.items()
        }


def _pages(person: str) -> dict[str, str]:
    """One path a kind of page, by the kind's name, as far as links lead."""
    from django.urls import Resolver404, resolve

    client = _client(person)
    found: dict[str, str] = {}
    waiting, seen = ["/"], {"/"}
    while waiting:
        path = waiting.pop(0)
        try:
            name = resolve(urlsplit(path).path).view_name
        except Resolver404:
            continue
        if name in found:
            continue
        response = client.get(path)
        if response.status_code != 200 or "text/html" not in response["Content-Type"]:
            continue
        found[name] = path
        for link in LINK.findall(response.content.decode()):
            target = urlsplit(urljoin(path, link.replace("&amp;", "&")))
            address = target.path + (f"?{target.query}" if target.query else "")
            if not target.netloc and address not in seen and not SKIPPED.search(address):
                seen.add(address)
                waiting.append(address)
    say(f"{person}: {len(found)} kinds of pages")
    return found


def _queries(person: str, path: str) -> int:
    """Database queries of one answer, by a client whose caches of the process are warm."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = _client(person)
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        client.get(path)
    return len(
        [query for query in captured if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    )


def _client(person: str) -> Any:
    from django.test import Client

    client = Client(SERVER_NAME="localhost")
    client.force_login(_user(person), backend="django.contrib.auth.backends.ModelBackend")
    return client


def _session_of(person: str) -> dict[str, str]:
    """The session cookie of a new login."""
    return {"sessionid": _client(person).cookies["sessionid"].value}


def _user(person: str) -> Any:
    from django.contrib.auth.models import User

    return User.objects.get(username=person)


if __name__ == "__main__":
    main()
