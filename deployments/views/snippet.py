"""How to call an endpoint from a shell."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from deployments.checks import artifact_store
from deployments.models import Deployment
from deployments.store import input_example
from e2i_site.core.errors import E2IError

# A longer example would bury the command.
LONGEST = 2000


@dataclass(frozen=True)
class Snippet:
    """A command, and where its input is from: "example", or "signature" to be filled in."""

    command: str
    source: str


def snippet(deployment: Deployment) -> Snippet | None:
    """A curl command for the endpoint; None where nothing tells what the model takes."""
    if body := _example(deployment):
        return Snippet(_command(deployment, body), "example")
    columns = [column.get("name") for column in deployment.entry.signature.get("inputs") or ()]
    if not columns or not all(columns):
        return None
    body = json.dumps({"dataframe_split": {"columns": columns, "data": []}})
    return Snippet(_command(deployment, body), "signature")


def _command(deployment: Deployment, body: str) -> str:
    return (
        f"curl -s {shlex.quote(deployment.endpoint_url)} \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(body)}"
    )


def _example(deployment: Deployment) -> str:
    """The first row of the model's own input example; empty where there is none, or a long one."""
    try:
        files = artifact_store().path(deployment.artifact_digest)
        document = json.loads(input_example(files) or b"")
    except (E2IError, OSError, ValueError):
        return ""
    frame = document.get("dataframe_split") if isinstance(document, dict) else None
    if isinstance(frame, dict) and isinstance(frame.get("data"), list):
        columns = frame.get("columns")
        document = {"dataframe_split": {"columns": columns, "data": frame["data"][:1]}}
    text = json.dumps(document)
    return text if len(text) <= LONGEST else ""
