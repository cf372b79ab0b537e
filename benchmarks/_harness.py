"""What every benchmark shares: one JSON document on standard output, progress on standard error."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One figure. `theirs` is the comparison measured in the same run, None where there is none."""

    what: str
    ours: float
    unit: str
    theirs: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.theirs if self.theirs else None


@dataclass
class Report:
    """Collects figures; `finish` prints the document."""

    name: str
    sizes: dict[str, int | float | str] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, ours: float, unit: str, *, theirs: float | None = None) -> None:
        result = Result(what, ours, unit, theirs)
        self.results.append(result)
        compared = (
            "" if theirs is None else f"   (comparison {theirs:.3g}, ×{result.ratio or 0:.2f})"
        )
        say(f"{what}: {ours:.4g} {unit}{compared}")

    def finish(self) -> None:
        document = {
            "name": self.name,
            "machine": machine(),
            "sizes": self.sizes,
            "results": [
                {key: _rounded(value) for key, value in {**asdict(r), "ratio": r.ratio}.items()}
                for r in self.results
            ],
            "notes": self.notes,
        }
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")


def say(line: str) -> None:
    """Progress, for people."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Arguments that every benchmark takes."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("--full", action="store_true", help="the sizes of the stated goals")
    return made


def machine() -> dict[str, str | int | float]:
    """Where the figures come from."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def quantile(values: Sequence[float], share: float) -> float:
    """The `share` quantile (0 to 1) of `values`; the only value when there is one."""
    if len(values) == 1:
        return values[0]
    cuts = statistics.quantiles(values, n=1000, method="inclusive")
    return cuts[min(998, max(0, math.ceil(share * 1000) - 1))]


def _rounded(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
