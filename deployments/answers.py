"""A model's answers by MLflow's own loader, in a process of its own.

Callers verify the folder's digest first: loading runs its code, so the process gets no secrets,
as that which measures.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import yaml

from registry.measuring import probe

if TYPE_CHECKING:
    from registry.measuring.probing import Subject


def registered_answers(folder: Path, body: bytes) -> Any:
    """The predictions of the model in `folder`. Raises ProbeFailed with what was said last."""
    with tempfile.TemporaryDirectory(prefix="e2i-answers-") as place:
        given = Path(place) / "body.json"
        given.write_bytes(body)
        asked = question(folder, given)
        return probe.ask([asked])[asked].require()


def require_loadable(folder: Path) -> None:
    """Load the model in `folder`, and ask it nothing. Raises ProbeFailed."""
    asked = probe.Question(folder, "deployments.answers:load")
    probe.ask([asked])[asked].require()


def question(folder: Path, body: Path, digest: str = "") -> probe.Question:
    """What the model in `folder` answers to the request body in a file."""
    given = (("body", str(body)),)
    return probe.Question(folder, "deployments.answers:answer", given, digest)


def load(subject: Subject) -> bool:
    """Raises what loading raises."""
    return subject.model is not None


def answer(subject: Subject, body: str) -> Any:
    """Predict and format, with MLflow's own schema check and none of the gateway's shortcuts."""
    # Only the process of its own pays for pandas.
    from deployments.gateway import protocol
    from deployments.gateway.signature import Signature

    model_file = yaml.safe_load((subject.folder / "MLmodel").read_text())
    given = protocol.parse(
        Path(body).read_bytes(), protocol.JSON, Signature.from_mlmodel(model_file)
    )
    found = protocol.format_predictions(subject.model.predict(given.data))
    return orjson.loads(found)["predictions"]
