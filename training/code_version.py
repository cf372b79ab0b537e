"""Which code made a run."""

from __future__ import annotations

import subprocess
from functools import cache

from django.conf import settings

from e2i_site.core import env


@cache
def git_commit() -> str:
    """The commit of this code: `E2I_GIT_COMMIT`, else asked of git; empty where neither knows."""
    given = env.text("E2I_GIT_COMMIT")
    if given:
        return given
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.strip()
