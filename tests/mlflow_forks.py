"""MLflow servers forked from one process, which has imported what they need and made a database.

`python -m tests.mlflow_forks SOCKET` takes a JSON request a connection, and answers with the
server's process id. A start of its own costs each server four seconds of processor time.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import mlflow.server
import mlflow.server.fastapi_app
from mlflow.cli import cli
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from uvicorn.main import main


def serve_requests(address: str) -> None:
    """Fork a server for each request, until this process is ended."""
    pristine = Path(address).with_name("pristine.sqlite3")
    SqlAlchemyStore(f"sqlite:///{pristine}", str(pristine.parent))
    gc.freeze()
    # Whoever asked looks whether a server lives; none should stay as a zombie.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rw") as channel:
                request = json.loads(channel.readline())
                if os.fork() == 0:
                    # Its group is there before anybody hears of it.
                    os.setsid()
                    channel.write(f"{os.getpid()}\n")
                    channel.close()
                    connection.close()
                    listener.close()
                    _become_a_server(pristine, **request)


def _become_a_server(
    pristine: Path, arguments: list[str], environment: dict[str, str], log: str
) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with Path(log).open("ab", buffering=0) as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    store = arguments[arguments.index("--backend-store-uri") + 1]
    kind, _, path = store.partition(":///")
    if kind == "sqlite" and not Path(path).exists():
        shutil.copy(pristine, path)
    mlflow.server._exec_cmd = _serve_here
    cli(["server", *arguments])
    os._exit(0)


def _serve_here(command: list[str], *, extra_env: dict[str, str], **_: Any) -> None:
    """Instead of starting `python -m uvicorn …` and waiting for its end."""
    os.environ.update(extra_env)
    assert command[1:3] == ["-m", "uvicorn"], command
    main(command[3:])


if __name__ == "__main__":
    serve_requests(sys.argv[1])
