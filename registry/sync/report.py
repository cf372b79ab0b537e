"""What one sync did, and what it could not do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from training.sync import Counts

FULL, INCREMENTAL = "full", "incremental"
KINDS = ("experiments", "runs", "logged_models", "models", "versions")


@dataclass
class SyncReport:
    """What one sync did.

    Attributes:
        source: what the runs were read from, rest or sql.
        notes: choices that people should know, such as why not from SQL.
        problems: what could not be read; it is read again next time.
        prompts: entries of MLflow's registry that are prompts, not models.
        swept: runs that were read again only to find late changes.
    """

    mode: str
    source: str = "rest"
    seconds: float = 0.0
    requests: int = 0
    experiments: Counts = field(default_factory=Counts)
    runs: Counts = field(default_factory=Counts)
    logged_models: Counts = field(default_factory=Counts)
    models: Counts = field(default_factory=Counts)
    versions: Counts = field(default_factory=Counts)
    prompts: int = 0
    swept: int = 0
    sweep_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as the command prints it."""
        return {
            "mode": self.mode,
            "source": self.source,
            "seconds": round(self.seconds, 3),
            "requests": self.requests,
            **{kind: getattr(self, kind).as_dict() for kind in KINDS},
            "prompts": self.prompts,
            "swept": self.swept,
            "sweep_seconds": round(self.sweep_seconds, 3),
            "notes": self.notes,
            "problems": self.problems,
        }
