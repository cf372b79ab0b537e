"""How a status looks: tone, icon and words. Pages never tell a status by colour alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


@dataclass(frozen=True)
class Look:
    """`tone`: good, warn, bad, info, shade or quiet. `icon`: a vendored icon's name."""

    tone: str
    icon: str
    label: str = ""


UNKNOWN = Look("quiet", "circle")

# A value means the same wherever it stands, unless `_BY_KIND` says otherwise.
_LOOKS: dict[str, Look] = {
    # stages
    "development": Look("quiet", "flask"),
    "staging": Look("info", "stack-2"),
    "shadow": Look("shade", "ghost"),
    "production": Look("good", "rocket"),
    "archived": Look("quiet", "archive"),
    "deprecated": Look("warn", "ban"),
    "hidden": Look("warn", "eye-off"),
    # outcomes
    "pass": Look("good", "check", "Passed"),
    "passed": Look("good", "check"),
    "fail": Look("bad", "x", "Failed"),
    "failed": Look("bad", "x"),
    "error": Look("bad", "alert-triangle", "Error"),
    "inconclusive": Look("warn", "help-circle"),
    "not_applicable": Look("quiet", "minus"),
    "never_ran": Look("quiet", "circle-dashed"),
    "not_automated": Look("quiet", "circle-minus"),
    "by_tests": Look("quiet", "checkbox", "Test suite"),
    "blocked": Look("bad", "ban"),
    "skipped": Look("quiet", "minus"),
    "interrupted": Look("warn", "player-stop"),
    "pruned": Look("quiet", "minus"),
    "excluded": Look("quiet", "ban"),
    "ranked": Look("quiet", "list"),
    "benchmarked": Look("info", "gauge"),
    "selected": Look("good", "award"),
    # work
    "sent": Look("good", "check"),
    "queued": Look("quiet", "clock"),
    "scheduled": Look("quiet", "clock"),
    "pending": Look("quiet", "clock"),
    "waiting": Look("warn", "hourglass"),
    "running": Look("info", "loader-2"),
    "succeeded": Look("good", "check", "Done"),
    "finished": Look("good", "check"),
    "complete": Look("good", "check"),
    "cancelled": Look("quiet", "ban"),
    "killed": Look("warn", "player-stop"),
    "abandoned": Look("warn", "player-stop"),
    # promotions and reviews
    "open": Look("info", "git-pull-request"),
    "changes_requested": Look("warn", "message-circle"),
    "request_changes": Look("warn", "message-circle", "Changes requested"),
    "approve": Look("good", "check", "Approved"),
    "approved": Look("good", "check"),
    "applied": Look("good", "git-merge", "Done"),
    "reject": Look("bad", "x", "Rejected"),
    "rejected": Look("bad", "x"),
    "withdrawn": Look("quiet", "arrow-back-up"),
    "superseded": Look("quiet", "arrow-right"),
    "expired": Look("quiet", "hourglass"),
    "high": Look("bad", "alert-triangle", "High risk"),
    "medium": Look("warn", "alert-circle", "Medium risk"),
    "low": Look("quiet", "info-circle", "Low risk"),
    "comment": Look("quiet", "message"),
    # deployments
    "deploying": Look("info", "loader-2"),
    "active": Look("good", "activity"),
    "draining": Look("warn", "hourglass", "Kept warm"),
    "stopped": Look("bad", "player-stop"),
    "past_gates": Look("bad", "shield-x", "Past its gates"),
    "retired": Look("quiet", "archive"),
    "rolled_back": Look("warn", "arrow-back-up"),
    "closed": Look("quiet", "lock"),
    "void": Look("quiet", "ban"),
    # findings
    "P0": Look("bad", "alert-octagon", "P0"),
    "P1": Look("bad", "alert-triangle", "P1"),
    "P2": Look("warn", "alert-circle", "P2"),
    "P3": Look("info", "info-circle", "P3"),
    "P4": Look("quiet", "info-circle", "P4"),
    "waived": Look("quiet", "eye-off"),
    "resolved": Look("good", "check"),
    # the circuit breaker
    "half_open": Look("warn", "plug-connected", "Half-open"),
}

_BY_KIND: dict[tuple[str, str], Look] = {
    ("finding", "open"): Look("bad", "circle-dot", "Open"),
    ("window", "open"): Look("info", "activity", "Collecting evidence"),
    ("canary", "paused"): Look("warn", "player-pause", "Paused"),
    ("canary", "done"): Look("good", "check", "Passed"),
    ("canary", "ended"): Look("bad", "x", "Ended"),
    ("breaker", "open"): Look("bad", "plug-connected-x", "Open"),
    ("breaker", "closed"): Look("good", "plug-connected", "Closed"),
}


def look(value: Any, *, kind: str = "", label: str = "") -> Look:
    """How `value` is shown. An unknown value is shown as it is, in a quiet tone.

    The words are `label`, else the label of a Django choice, else ours, else the value itself.
    """
    key = str(value.value if isinstance(value, Enum) else value)
    found = _BY_KIND.get((kind, key)) or _LOOKS.get(key, UNKNOWN)
    words = label or str(getattr(value, "label", "")) or found.label
    return Look(found.tone, found.icon, words or key.replace("_", " ").capitalize())
