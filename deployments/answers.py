"""A model's answers by MLflow's own loader, in a process of its own.

`python -m deployments.answers FOLDER` reads a request body from standard input and prints
{"predictions": [...]}. Callers verify the folder's digest first: loading runs its code, so the
process gets no secrets, as that which measures.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
import yaml

from registry.measuring import probe


def registered_answers(folder: Path, body: bytes) -> Any:
    """The predictions of the model in `folder`. Raises ProbeFailed with what was said last."""
    return orjson.loads(probe.run_alone("deployments.answers", str(folder), given=body))[
        "predictions"
    ]


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
