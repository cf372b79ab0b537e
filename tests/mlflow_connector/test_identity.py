"""MLflow behind a login: basic auth as MLflow ships it, a bearer token, a private authority."""

from __future__ import annotations

import os
import ssl
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core.cache import cache
from django.test import Client

from e2i_site.activity.actions.register_webhook import look_after_webhook
from e2i_site.activity.models import MlflowEvent
from e2i_site.audit import runner
from e2i_site.audit.models import SubjectResult
from e2i_site.core.errors import ConfigurationError
from e2i_site.mlflow_connector import (
    MLflowConnector,
    Presence,
    Rejected,
    Unreachable,
    get_connector,
)
from e2i_site.mlflow_connector.transport import RetryPolicy
from e2i_site.mlflow_connector.types import Identity
from e2i_site.status import site_status
from registry.models import RegisteredModel, RegistryEntry, SyncState
from registry.sync import sync
from tests.mlflow_accounts import ADMIN, READER, accounts_server, permit
from training.models import MlflowExperiment, TrainingRun

# About MLflow, whatever database is ours.
pytestmark = [pytest.mark.once, pytest.mark.usefixtures("quiet_broker")]


def connect(url: str, folder: Path) -> MLflowConnector:
    return MLflowConnector(url, folder / "journal", policy=RetryPolicy(retries=0))


# --- basic auth -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`mlflow server --app-name basic-auth` that gives nobody anything by default."""
    with accounts_server(tmp_path_factory.mktemp("basic-auth")) as url:
        yield url


@pytest.fixture
def as_user(guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def login(user: tuple[str, str] | None) -> MLflowConnector:
        for name, value in zip(("USERNAME", "PASSWORD"), user or ("", ""), strict=True):
            monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
        return connect(guarded, tmp_path)

    return login


def test_basic_auth_lets_in_whom_it_knows(as_user: Any) -> None:
    assert as_user(ADMIN).identity() == Identity("admin", True)
    assert as_user(READER).identity() == Identity("reader", False)
    for stranger in (None, ("admin", "wrong")):
        with pytest.raises(Rejected) as refused:
            list(as_user(stranger).iter_experiments())
        assert refused.value.status == 401
        assert "MLFLOW_TRACKING_USERNAME" in str(refused.value)
        assert "wrong" not in str(refused.value)


def _hidden_version(admin: MLflowConnector) -> tuple[str, str]:
    """A version that a reader may see, of a run that it may not."""
    name = f"hidden-{uuid.uuid4().hex[:8]}"
    experiment = admin.get_or_create_experiment(name).experiment_id
    made = admin.transport.write("POST", "runs/create", experiment_id=experiment, start_time=1)
    run_id = made["run"]["info"]["run_id"]
    admin.get_or_create_registered_model(name)
    body = {"name": name, "source": f"runs:/{run_id}/model", "run_id": run_id}
    admin.transport.write("POST", "model-versions/create", **body)
    return name, run_id


@pytest.mark.django_db
def test_what_a_server_hides_is_told(
    as_user: Any, guarded: str, settings: Any, tmp_path: Path
) -> None:
    admin = as_user(ADMIN)
    name, run_id = _hidden_version(admin)
    assert admin.presence("run", run_id) is Presence.THERE
    assert admin.presence("run", "0" * 32) is Presence.GONE
    assert admin.presence("version", name, "1") is Presence.THERE
    assert admin.presence("version", name, "2") is Presence.GONE
    settings.MLFLOW_TRACKING_URI = guarded
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journal"
    assert _usable().outcome == "pass"
    reader = as_user(READER)
    assert reader.hides("run", run_id)
    assert reader.hides("model", name)
    assert reader.presence("version", name, "1") is Presence.HIDDEN
    get_connector().close()
    found = _usable()
    assert found.outcome == "inconclusive"
    assert "reader" in found.message
    look_after_webhook(reader)
    SyncState.objects.get_or_create(source="mlflow")
    cache.clear()
    assert site_status().narrow_account == "reader"


class Watched:
    """An experiment with a run, and a model with a version, that the reader may see, or not."""

    def __init__(self, url: str, admin: MLflowConnector) -> None:
        self.url, self.admin = url, admin
        self.name, self.run_id = _hidden_version(admin)
        found = admin.find_experiment(self.name)
        assert found is not None
        self.experiment_id = found.experiment_id
        self.permit(read=True)

    def permit(self, *, read: bool) -> None:
        permit(self.url, "experiment", self.experiment_id, read=read)
        permit(self.url, "registered_model", self.name, read=read)

    def rows(self) -> tuple[bool, ...]:
        """What of it the mirror takes for deleted."""
        run = TrainingRun.objects.get(mlflow_run_id=self.run_id)
        model = RegisteredModel.objects.get(name=self.name)
        version = RegistryEntry.objects.get(model=self.name)
        return (
            run.deleted_in_mlflow,
            MlflowExperiment.objects.get(mlflow_id=self.experiment_id).deleted,
            model.deleted_in_mlflow,
            version.deleted_in_mlflow,
        )


@pytest.fixture
def watched(
    as_user: Any, guarded: str, settings: Any, tmp_path: Path, db: None
) -> Iterator[Watched]:
    """Mirrored once, by an account that may read it."""
    settings.MLFLOW_TRACKING_URI = guarded
    settings.MLFLOW_JOURNAL_DIR = tmp_path / "journal"
    made = Watched(guarded, as_user(ADMIN))
    as_user(READER)
    get_connector().close()
    sync()
    assert made.rows() == (False, False, False, False)
    yield made
    get_connector().close()


def _events() -> list[tuple[str, str]]:
    return sorted(MlflowEvent.objects.values_list("subject_kind", "kind"))


def test_what_is_hidden_stays_and_says_so(
    watched: Watched, people: SimpleNamespace, client: Client
) -> None:
    watched.permit(read=False)
    for full in (False, True, False):
        assert sync(full=full).problems == []
    assert watched.rows() == (False, False, False, False)
    experiment = MlflowExperiment.objects.get(mlflow_id=watched.experiment_id)
    assert experiment.hidden_since
    assert RegisteredModel.objects.get(name=watched.name).hidden_since
    assert _events() == [("experiment", "hidden"), ("model", "hidden")]
    client.force_login(people.viewer)
    run = TrainingRun.objects.get(mlflow_run_id=watched.run_id)
    for row in (run, RegisteredModel.objects.get(name=watched.name), RegistryEntry.objects.get()):
        page = client.get(row.get_absolute_url()).content.decode()
        assert "MLflow hides this from E2I's account." in page.replace("&#x27;", "'")
    found = client.get("/registry/mirror/").content.decode()
    assert found.count(watched.name) >= 2

    watched.admin.transport.write("DELETE", "model-versions/delete", name=watched.name, version="1")
    watched.permit(read=True)
    sync()
    assert watched.rows() == (False, False, False, True)
    assert not MlflowExperiment.objects.exclude(hidden_since=None).exists()
    assert not RegisteredModel.objects.exclude(hidden_since=None).exists()
    assert set(_events()) == {
        ("experiment", "hidden"), ("experiment", "shown"), ("model", "hidden"),
        ("model", "shown"), ("version", "deleted"),
    }  # fmt: skip


def test_what_is_hidden_while_a_sync_reads_is_not_taken_for_deleted(watched: Watched) -> None:
    phases: list[str] = []

    def hide(phase: str, done: int, total: int) -> None:
        if phase == "Runs" and phase not in phases:  # a slow one is told of more than once
            watched.permit(read=False)
        phases.append(phase)

    report = sync(full=True, progress=hide)
    assert watched.rows() == (False, False, False, False)
    assert [each.split(":")[0] for each in report.problems] == [
        f"Runs of experiment {watched.experiment_id}"
    ]
    assert "hides" in SyncState.objects.get().error


def _usable() -> SubjectResult:
    runner.execute(runner.prepare(check_id="1.1"))
    return SubjectResult.objects.filter(result__check_id="1.1").latest("id")


@pytest.mark.django_db
def test_webhooks_need_an_administrator_and_the_right_settings(as_user: Any, settings: Any) -> None:
    settings.MLFLOW_WEBHOOK_URL = "http://127.0.0.1:9/webhooks/mlflow"
    assert "administrator" in look_after_webhook(as_user(READER)).problem
    problem = look_after_webhook(as_user(ADMIN)).problem
    assert "MLFLOW_WEBHOOK_ALLOWED_SCHEMES" in problem
    settings.MLFLOW_WEBHOOK_URL = "https://127.0.0.1:9/webhooks/mlflow"
    problem = look_after_webhook(as_user(ADMIN)).problem
    assert "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS" in problem


# --- a token, and an authority of one's own ---------------------------------------------------


class _Gate(BaseHTTPRequestHandler):
    """Asks for a token, then passes GETs on to the real server."""

    def do_GET(self) -> None:
        server: Any = self.server
        if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
            return self._answer(401, b'{"error_code": "UNAUTHENTICATED"}')
        found = httpx.get(f"{server.upstream}{self.path}", timeout=30)
        return self._answer(found.status_code, found.content)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def _gate(upstream: str, *, token: str = "", tls: ssl.SSLContext | None = None) -> Any:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Gate)
    server.upstream, server.token = upstream, token
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("MLFLOW_TRACKING_")]:
        if name != "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)


def test_a_bearer_token_is_sent(
    mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = _gate(mlflow_server, token="let me in")
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(Rejected, match="MLFLOW_TRACKING_TOKEN"):
            list(connect(url, tmp_path).iter_registered_models())
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "let me in")
        connector = connect(url, tmp_path)
        list(connector.iter_registered_models())
        assert connector.identity() is None  # a gate before a server without accounts
    finally:
        server.shutdown()


def _certificates(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A private authority's certificate, and the context of a server that it vouches for."""
    now, key = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A private authority")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority, private = folder / "authority.pem", folder / "key.pem"
    authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, private)
    return authority, context


def test_a_private_authority_is_trusted_only_when_named(
    mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = _certificates(tmp_path)
    server = _gate(mlflow_server, tls=context)
    url = f"https://localhost:{server.server_port}"
    try:
        with pytest.raises(Unreachable, match=r"(?i)certificate"):
            connect(url, tmp_path).server_info()
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(authority))
        assert connect(url, tmp_path).server_info().version.startswith("3.")
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", f"{authority}.old")
        with pytest.raises(ConfigurationError, match=r"authority\.pem\.old"):
            connect(url, tmp_path).server_info()
    finally:
        server.shutdown()
