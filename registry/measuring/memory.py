"""How much memory a process held, also one that was forked with its libraries loaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def peak_bytes() -> int:
    """The most memory this process has held since it began with its program.

    Linux tells it in /proc. ru_maxrss, the same in kilobytes but for macOS, counts there what the
    process held that started this one.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    if peak := next((each.split()[1] for each in lines if each.startswith("VmHWM:")), None):
        return int(peak) * 1024
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * 1024)


def peak_alone() -> int:
    """The most memory this forked process would have held, had it loaded everything itself.

    A fork inherits private pages but not those of mapped files, which are its libraries: what the
    parent has of them and this process did not touch is added. It comes within a few percent of a
    fresh process, above rather than below.
    """
    before, now = (_file_pages(pid) for pid in (os.getppid(), os.getpid()))
    return peak_bytes() + sum(max(0, size - now.get(place, 0)) for place, size in before.items())


def _file_pages(pid: int) -> dict[str, int]:
    """{address range: bytes in memory} of a process's mapped files; empty where not Linux."""
    listing = Path(f"/proc/{pid}/smaps")
    if sys.platform != "linux":
        return {}
    found: dict[str, int] = {}
    place, resident = "", 0
    for line in listing.read_text().splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            place = name if "/" in rest else ""
        elif place and name == "Rss:":
            resident = int(rest.split()[0])
        elif place and name == "Anonymous:":
            found[place] = 1024 * (resident - int(rest.split()[0]))
    return found
