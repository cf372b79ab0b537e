"""A model's answers by MLflow's own loader, in a process of its own.

`python -m deployments.answers FOLDER` reads a request body from standard input and prints
{"predictions": [...]}. Callers verify the folder's digest first: loading runs its code. A process
of its own, because the libraries of models do not survive a worker's fork, and their memory would
stay.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import yaml

from e2i_site.core.errors import E2IError

SECONDS = 300


class NoAnswer(E2IError):
    """The model did not load, or did not predict."""


def registered_answers(folder: Path, body: bytes) -> Any:
    """The predictions of the model in `folder`. Raises NoAnswer with what the process said last."""
    command = [sys.executable, "-m", "deployments.answers", str(folder)]
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    try:
        done = subprocess.run(
            command,
            input=body,
            capture_output=True,
            timeout=SECONDS,
            cwd=root,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"The model did not answer within {SECONDS} s.") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise NoAnswer(f"The model does not load or predict: {lines[-1] if lines else 'no reason'}")
    return orjson.loads(done.stdout)["predictions"]


def main(folder: Path, body: bytes) -> bytes:
    """Load, predict, format, with MLflow's own schema check and none of the gateway's shortcuts."""
    # Only this process pays for pandas.
    from deployments.gateway import protocol
    from deployments.gateway.signature import Signature
    from e2i_site.mlflow_connector import models

    signature = Signature.from_mlmodel(yaml.safe_load((folder / "MLmodel").read_text()))
    given = protocol.parse(body, protocol.JSON, signature)
    return protocol.format_predictions(models.load_pyfunc(folder).predict(given.data))


if __name__ == "__main__":
    answer = main(Path(sys.argv[1]), sys.stdin.buffer.read())
    sys.stdout.buffer.write(answer)
