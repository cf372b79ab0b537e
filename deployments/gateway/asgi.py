"""Entry point: `uvicorn deployments.gateway.asgi:app`."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "e2i_site.settings")
django.setup()

from django.conf import settings  # noqa: E402 - Django has to be set up first

from deployments.gateway import database  # noqa: E402
from deployments.gateway.app import create_app  # noqa: E402
from deployments.gateway.key import gateway_key  # noqa: E402
from deployments.gateway.measure import Meter  # noqa: E402
from deployments.gateway.mirror import Mirror  # noqa: E402
from deployments.gateway.model_host import ModelHost  # noqa: E402
from deployments.gateway.routes import Refresher, RouteTable  # noqa: E402
from deployments.gateway.runtime import Gateway  # noqa: E402
from deployments.store import ArtifactStore  # noqa: E402


def _load(path: Path) -> Any:
    """MLflow's loader, imported with the first model: it takes seconds."""
    from e2i_site.mlflow_connector import models

    return models.load_pyfunc(path)


def build() -> Gateway:
    """A gateway on the project's database and artifact store."""
    table = RouteTable(
        database.DatabaseRoutes(), ModelHost(ArtifactStore(settings.ARTIFACT_STORE), _load)
    )
    meter = Meter(database.DatabaseSink())
    gateway = Gateway(
        table=table,
        meter=meter,
        mirror=Mirror(meter),
        key=gateway_key(),
        instance=f"{socket.gethostname()}:{settings.GATEWAY_PORT}",
    )
    gateway.refreshers = (
        Refresher(table.read, seconds=1.0, name="routes"),
        Refresher(table.load, seconds=1.0, name="models"),
        Refresher(meter.flush, seconds=1.0, name="measurements"),
        Refresher(lambda: database.report(gateway), seconds=5.0, name="report"),
    )
    return gateway


app = create_app(build())
