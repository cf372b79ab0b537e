"""Start-up times, and memory of all processes together (proportional set size).

By default without the demo: start, first page, idle memory. `--full` runs the demo too and
reports its time and the peak.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from benchmarks._harness import Report, parser
from benchmarks._instance import Instance, running

IDLE_SECONDS = 15
MB = 1024


def main() -> None:
    arguments = parser(__doc__).parse_args()
    report = Report("footprint", {"demo": str(arguments.full)})
    with tempfile.TemporaryDirectory(prefix="e2i-bench-") as folder:
        data = Path(folder)
        with running(demo=arguments.full, data_dir=data) as instance, peak_of(instance) as peak:
            report.add(
                "first page, first start", instance.wait(f"{instance.site}/healthz", 120), "s"
            )
            report.add("MLflow answers", instance.wait(f"{instance.mlflow}/health", 120), "s")
            instance.wait(f"{instance.gateway}/health", 120)
            if arguments.full:
                report.add(
                    "demo complete", instance.wait_for_line("The demo is complete", 900), "s"
                )
            report.add("peak memory", peak[0], "MB")
            time.sleep(IDLE_SECONDS)
            for name, size in sorted(memory_by_program(instance.pid).items()):
                report.add(f"idle memory, {name}", size, "MB")
            report.add("idle memory", total(instance.pid), "MB")
            report.add("idle processor use", processor_share(instance.pid), "% of one core")
        with running(demo=arguments.full, data_dir=data) as instance:
            report.add(
                "first page, second start", instance.wait(f"{instance.site}/healthz", 120), "s"
            )
    report.finish()


@contextlib.contextmanager
def peak_of(instance: Instance):
    """Sample the memory every second; the list's only item is the largest sum, MB."""
    peak, over = [0.0], threading.Event()

    def sample() -> None:
        while not over.wait(1):
            peak[0] = max(peak[0], total(instance.pid))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    yield peak
    over.set()
    thread.join()


def total(root: int) -> float:
    """Proportional set size of `root` and everything under it, MB."""
    return sum(memory_by_program(root).values())


def memory_by_program(root: int) -> dict[str, float]:
    """PSS in MB by the child of `root` under which the memory is held."""
    sizes: dict[str, float] = defaultdict(float)
    for pid, top in _descendants(root).items():
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            pss = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
            sizes[_name(top, root)] += int(pss.split()[1]) / MB
    return dict(sizes)


def processor_share(root: int, seconds: float = 10) -> float:
    """Processor time used by all of them while nobody asks for anything, % of one core."""
    before = _ticks(root)
    time.sleep(seconds)
    return (_ticks(root) - before) / os.sysconf("SC_CLK_TCK") / seconds * 100


def processor_seconds(root: int, program: str) -> float:
    """Processor time that one program under the supervisor `root` has used so far."""
    return _ticks(root, program) / os.sysconf("SC_CLK_TCK")


def _ticks(root: int, program: str = "") -> int:
    ticks = 0
    for pid, top in _descendants(root).items():
        if program and _name(top, root) != program:
            continue
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks


def _descendants(root: int) -> dict[int, int]:
    """Every process under `root`, with the child of `root` it belongs to."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text()
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {root: root}
    for pid in parents:
        chain = [pid]
        while chain[-1] in parents and chain[-1] != root:
            chain.append(parents[chain[-1]])
        if chain[-1] == root and len(chain) > 1:
            found[pid] = chain[-2]
    return found


def _name(pid: int, root: int) -> str:
    if pid == root:
        return "supervisor"
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        line = " ".join(words)
        for name, mark in {
            "mlflow": "mlflow", "web": "gunicorn", "gateway": "uvicorn", "trainer": "isolated",
            "worker": "light", "scheduler": " beat", "guard": "guard.py", "demo": "manage.py",
        }.items():  # fmt: skip
            if mark in line:
                return name
    return "other"


if __name__ == "__main__":
    main()
