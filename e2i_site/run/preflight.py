"""What must hold before anything starts. Each problem is one `ConfigurationError`."""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import socket
from pathlib import Path
from typing import IO

from e2i_site.core.errors import ConfigurationError


def check_ports(ports: dict[str, int]) -> None:
    """`ports` maps the variable to its port; each must be free, and no two alike."""
    for variable, port in ports.items():
        for other, same in ports.items():
            if other < variable and same == port:
                raise ConfigurationError(f"{other} and {variable} are both {port}; change one.")
        if not _is_free(port):
            raise ConfigurationError(
                f"Port {port} is taken. Stop what uses it, or choose another with {variable}=…"
            )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def lock_data_dir(folder: Path) -> IO[str]:
    """Hold the data directory for this process; keep the result open.

    Raises ConfigurationError when it is not writable or another E2I runs on it.
    """
    try:
        handle = (folder / "run.lock").open("a+")
    except OSError as error:
        raise ConfigurationError(
            f"E2I_DATA_DIR={folder} is not writable ({error.strerror}); choose another."
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.seek(0)
        raise ConfigurationError(
            f"E2I already runs on E2I_DATA_DIR={folder} (process {handle.read().strip()}). "
            "Stop it, or choose another directory."
        ) from None
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def fernet_key(folder: Path) -> str:
    """The key by which our own MLflow encrypts the secrets of webhooks; kept, so that they last."""
    path = folder / "mlflow-webhook-key"
    if not path.exists():
        path.touch(mode=0o600)
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        path.write_text(key, encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()
