"""Django's own checks as for a deployment, and that no migration is missing.

They run on a throwaway data directory, with the settings of an installation behind https.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (
    ("check", "--deploy", "--fail-level", "WARNING"),
    ("makemigrations", "--check", "--dry-run"),
)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="e2i-check-") as folder:
        environment = {
            "PATH": os.environ["PATH"],
            "E2I_DATA_DIR": folder,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "E2I_HTTPS": "1",
            "ALLOWED_HOSTS": "e2i.example.org",
        }
        for command in COMMANDS:
            line = [sys.executable, str(ROOT / "manage.py"), *command]
            print(" ".join(["manage.py", *command]), flush=True)
            if status := subprocess.run(line, env=environment, check=False).returncode:
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
