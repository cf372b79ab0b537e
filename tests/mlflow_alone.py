"""`mlflow server` as one process: no parent that only waits, and nothing imported twice."""

from __future__ import annotations

import os
import sys
from typing import Any

import mlflow.server
from mlflow.cli import cli
from uvicorn.main import main


def _serve_here(command: list[str], *, extra_env: dict[str, str], **_: Any) -> None:
    """Instead of starting `python -m uvicorn …` and waiting for its end."""
    os.environ.update(extra_env)
    assert command[1:3] == ["-m", "uvicorn"], command
    main(command[3:])


mlflow.server._exec_cmd = _serve_here
cli(["server", *sys.argv[1:]])
