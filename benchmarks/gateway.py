"""One row to a LightGBM pipeline: our gateway, with and without a shadow, and MLflow's own server.

Both serve the same files in the same run and are asked in turns by the same client, so that what
else the machine does slows both. Closed loop: each client waits for its answer.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks._harness import Report, parser, quantile, say
from benchmarks._parts import folder, set_up_site

DATA = Path(__file__).resolve().parents[1] / "data" / "randhie.csv"
CLIENTS = (1, 8)
ROUNDS = 2
WARM_UP = 30
HEADERS = {"Content-Type": "application/json"}


@dataclass
class Measured:
    """Latencies in seconds, and the wall time over which they were collected."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def milliseconds(self, share: float) -> float:
        return 1000 * quantile(self.latencies, share)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, help="of each measurement")
    options = arguments.parse_args()
    seconds = options.seconds or (30.0 if options.full else 3.0)
    report = Report(
        "gateway", {"seconds": seconds, "rounds": ROUNDS, "clients": "1, 8", "rows_a_request": 1}
    )
    with folder() as place:
        set_up_site(place / "site")
        active, shadow, body = save_models(place)
        measure(report, place, active, shadow, body, seconds / ROUNDS)
    report.notes += [
        "The client is Python threads on the same cores as the servers; it takes its share of "
        "them, of both servers alike; a client elsewhere would see higher rates.",
        "MLflow's server is `mlflow models serve --env-manager local` with its one worker.",
        "With a shadow, every request is answered twice, by the active and the shadow version.",
    ]
    report.finish()


def measure(
    report: Report, place: Path, active: Path, shadow: Path, body: bytes, seconds: float
) -> None:
    from django.conf import settings

    from tests.deployments.gateway.process import running_gateway

    deployment = deploy(active)
    database = f"sqlite:///{settings.DATABASES['default']['NAME']}"
    with mlflow_serving(active, place) as theirs, running_gateway(database) as url:
        ours = f"{url}/{deployment.endpoint_name}/invocations"
        wait_for(lambda: ask(ours, body)[0] == 200)
        same_answers(ours, theirs, body)
        compare(report, "no shadow", ours, theirs, body, seconds)
        deploy(shadow, beside=deployment)
        wait_for(lambda: ask(ours, body)[1].get("E2I-Mirrored") == "shadow")
        compare(report, "with a shadow", ours, theirs, body, seconds)
        time.sleep(3)  # the last minute's counts are written each second
    report_mirroring(report)


def compare(
    report: Report, label: str, ours: str, theirs: str, body: bytes, seconds: float
) -> None:
    for clients in CLIENTS:
        found = {ours: Measured(), theirs: Measured()}
        for _ in range(ROUNDS):
            for url, measured in found.items():
                load(url, body, clients, seconds, measured)
        us, them = found[ours], found[theirs]
        what = f"{label}, {clients} client{'s' if clients > 1 else ''}"
        report.add(f"{what}: rate", us.rate, "requests/s", theirs=them.rate)
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            them_ms = them.milliseconds(share)
            report.add(f"{what}: {name}", us.milliseconds(share), "ms", theirs=them_ms)


def load(url: str, body: bytes, clients: int, seconds: float, into: Measured) -> None:
    """Ask for `seconds` from `clients` threads, each on a connection of its own."""
    latencies: list[list[float]] = [[] for _ in range(clients)]
    problems: list[str] = []
    begun = time.perf_counter()

    def work(mine: list[float]) -> None:
        try:
            with contextlib.closing(connect(url)) as connection:
                while time.perf_counter() - begun < seconds:
                    asked = time.perf_counter()
                    status = post(connection, url, body)[0]
                    mine.append(time.perf_counter() - asked)
                    if status != 200:
                        raise RuntimeError(f"{url} answered {status}.")
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            problems.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=work, args=(mine,)) for mine in latencies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise RuntimeError(f"{len(problems)} clients failed: {problems[0]}")
    into.latencies += [each for mine in latencies for each in mine]
    into.seconds += time.perf_counter() - begun


def connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)


def post(connection: http.client.HTTPConnection, url: str, body: bytes) -> tuple[int, Any, bytes]:
    connection.request("POST", urlsplit(url).path, body, HEADERS)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def ask(url: str, body: bytes) -> tuple[int, Any, bytes]:
    with contextlib.closing(connect(url)) as connection:
        return post(connection, url, body)


def same_answers(ours: str, theirs: str, body: bytes) -> None:
    """Both give the model's answer; the first answers, which are slow, are not measured."""
    for _ in range(WARM_UP):
        answers = [json.loads(ask(url, body)[2])["predictions"] for url in (ours, theirs)]
        if answers[0] != answers[1]:
            raise RuntimeError(f"The answers differ: {answers[0]} and {answers[1]}.")


def save_models(place: Path) -> tuple[Path, Path, bytes]:
    """Two fitted pipelines as MLflow keeps them, and a request of one row."""
    import pandas as pd
    from lightgbm import LGBMClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from e2i_site.mlflow_connector.models import save_model

    frame = pd.read_csv(DATA).astype(float)
    target = (frame.pop("mdvis") > 0).astype(int)
    paths = []
    for name, trees in (("active", 150), ("shadow", 100)):
        estimator = LGBMClassifier(n_estimators=trees, random_state=42, n_jobs=1, verbosity=-1)
        model = make_pipeline(StandardScaler().set_output(transform="pandas"), estimator)
        model.fit(frame, target)
        requirements = ["scikit-learn", "lightgbm"]
        paths.append(
            save_model(model, place / name, example=frame.head(3), requirements=requirements)
        )
    split = frame.head(1).to_dict("split", index=False)
    say("two LightGBM pipelines are saved")
    return paths[0], paths[1], json.dumps({"dataframe_split": split}).encode()


def deploy(path: Path, beside: Any = None) -> Any:
    """The rows and stored files of a deployment that serves; of a shadow `beside` another."""
    from django.conf import settings

    from deployments.choices import Strategy
    from deployments.store import ArtifactStore
    from e2i_site.mlflow_connector.models import digest
    from tests.factories.deployments import DeploymentFactory
    from tests.factories.registry import EntryFactory

    key = digest(path)
    ArtifactStore(settings.ARTIFACT_STORE).fetch(key, lambda to: shutil.copytree(path, to))
    if beside is None:
        entry = EntryFactory(artifact_digest=key, stage="production")
        return DeploymentFactory(entry=entry)
    entry = EntryFactory(model=beside.entry.model, artifact_digest=key, stage="shadow")
    return DeploymentFactory(entry=entry, strategy=Strategy.SHADOW)


def report_mirroring(report: Report) -> None:
    """What the gateway itself counted of the shadow."""
    from django.db.models import Sum

    from deployments.models import TrafficMinute

    counted = TrafficMinute.objects.filter(deployment__strategy="shadow").aggregate(
        mirrored=Sum("requests"), dropped=Sum("dropped")
    )
    report.add("requests that the shadow answered", counted["mirrored"] or 0, "requests")
    report.add("requests not mirrored, because it was behind", counted["dropped"] or 0, "requests")


@contextlib.contextmanager
def mlflow_serving(path: Path, place: Path) -> Iterator[str]:
    """URL that asks `mlflow models serve` of these files."""
    from tests.mlflow_process import answers, stop_group
    from tests.services import free_port

    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["--model-uri", str(path), "--host", "127.0.0.1", "--port", str(port)]
    log = place / "mlflow-serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=os.environ.copy(), start_new_session=True
        )
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/ping"), log)
        say("mlflow models serve answers")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        stop_group(process.pid)


def wait_for(condition: Any, log: Path | None = None, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.2)
    tail = log.read_text(errors="replace")[-2000:] if log else ""
    raise TimeoutError(f"Nothing after {seconds} s.\n{tail}")


if __name__ == "__main__":
    main()
