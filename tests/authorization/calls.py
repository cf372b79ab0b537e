"""What a call needs to be a sensible one: an address of something real, and a body."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests.authorization.routes import object_of
from tests.authorization.world import REASON
from tests.factories.people import PASSWORD
from tests.factories.training import DatasetFactory

_PART = re.compile(r"<(\w+)>")
# Which row of the world a route is about, by its beginning; the first that fits.
_ABOUT = {
    "training/datasets/": "dataset",
    "training/experiments/": "asked",
    "training/selections/<pk>/cancel": "running selections",
    "training/selections/": "selections",
    "training/runs/<pk>/cancel": "runs",
    "training/runs/": "training-runs",
    "registry/promotions/<pk>/break-glass/judge": "past gates",
    "registry/promotions/": "open",
    "api/v1/promotions/<pk>/resubmit": "answerable",
    "api/v1/promotions/": "open",
    "registry/models/<name>/versions/<number>/stop": "serving",
    "registry/models/": "versions",
    "deployments/<pk>/window/": "shadow",
    "deployments/<pk>/canary/resume": "paused",
    "deployments/<pk>/canary/": "canary",
    "api/v1/deployments/<pk>/resume": "paused",
    "api/v1/deployments/<pk>/pause": "canary",
    "api/v1/deployments/<pk>/abort": "canary",
    "deployments/<pk>/retire": "warm",
    "api/v1/deployments/<pk>/stop": "warm",
    "deployments/": "active",
    "api/v1/deployments/": "active",
    "audit/findings/<pk>/revoke": "waived",
    "api/v1/findings/<pk>/revoke": "waived",
    "audit/findings/": "open finding",
    "api/v1/findings/": "open finding",
    "audit/runs/": "audit-runs",
    "trail/": "trail",
    "jobs/": "jobs",
    "notifications/webhooks/": "webhook",
    "notifications/<pk>/": "told",
}
_ELSE = {"format": "md", "key": "abcdefgh", "app_label": "registry"}


def path_of(route: str, world: dict[str, Any]) -> str:
    """The route with its parts filled in from the world."""
    path = "/" + _PART.sub(lambda part: str(_value(route, part[1], world)), route)
    if route == "registry/promotions/new/":
        entry = world["fresh"]
        path += f"?model={entry.model_id}&version={entry.model_version}"
    return path


def _value(route: str, name: str, world: dict[str, Any]) -> Any:
    if name in ("object_id", "id"):
        return object_of(route) or "1"
    about = next((row for start, row in _ABOUT.items() if route.startswith(start)), None)
    row = world[about or route.split("/")[2]] if about or route.startswith("api/v1/") else None
    if name == "pk":
        return row.pk if row else 1
    if "policies/" in route:
        return getattr(world["policies"], name)
    if route.startswith("registry/models/"):
        return row.model_id if name == "name" else row.model_version
    if name in ("slug", "experiment_id", "name") and row is not None:
        return row.name if name == "name" else row.experiment_id
    return _ELSE.get(name, "x")


def body_of(route: str, method: str, world: dict[str, Any]) -> Any:
    """What is sent along: enough for the action to decide on who calls."""
    if method.startswith("ACTION "):
        return {"action": method.removeprefix("ACTION "), "_selected_action": ["1"]}
    made = BODIES.get(route, {})
    return made(world) if callable(made) else made


def _decision(world: dict[str, Any]) -> dict[str, Any]:
    revision = world["open"].revision
    return {"decision": "reject", "revision": revision, "password": PASSWORD, **REASON}


def _request(world: dict[str, Any]) -> dict[str, Any]:
    entry = world["fresh"]
    return {
        "model": entry.model_id, "version": entry.model_version, "to_stage": "staging", **REASON
    }  # fmt: skip


def _until(world: dict[str, Any]) -> dict[str, Any]:
    day = timezone.now().date() + timedelta(days=3)
    return {"owner": world["people"].auditor.pk, "until": day.isoformat(), **REASON}


def _expires(world: dict[str, Any]) -> dict[str, Any]:
    at = timezone.now() + timedelta(days=3)
    return {"owner": "auditor", "expires_at": at.isoformat(), **REASON}


def _question(world: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "Any visit", "experiment_id": "any-visit", "dataset": DatasetFactory().pk,
        "minimum_auc": "0.7",
    }  # fmt: skip


def _experiment(world: dict[str, Any]) -> dict[str, Any]:
    named = {"experiment_id": "new-one", "name": "New", "dataset": DatasetFactory().name}
    return {**named, "criteria": {"minimum_auc": 0.7}}


def _typed(row: str) -> Any:
    def body(world: dict[str, Any]) -> dict[str, Any]:
        entry = getattr(world[row], "entry", world[row])
        return {"confirmation": entry.model_id, "password": PASSWORD, **REASON}

    return body


DOCUMENT = "name: fresh\nstages: {archived: {approvals: {count: 1, roles: [approver]}}}\n"
_WORK = {"top": "3", "folds": "3", "trials": "1", "minutes": "1", "seed": "1"}
BODIES: dict[str, Any] = {
    "training/experiments/new/": _question,
    "training/experiments/<slug>/select/": _WORK,
    "training/experiments/<slug>/train/": {**_WORK, "algorithm": "LightGBM"},
    "registry/promotions/<pk>/": _decision,
    "registry/promotions/new/": _request,
    "registry/promotions/<pk>/reviewers/": {"reviewers": "approver"},
    "registry/promotions/<pk>/break-glass/": _typed("open"),
    "registry/promotions/<pk>/break-glass/judge/": {
        "accepted": "yes", "password": PASSWORD, **REASON,
    },
    "registry/models/<name>/versions/<number>/stop/": _typed("serving"),
    "registry/models/<name>/versions/<number>/deprecate/": {"password": PASSWORD, **REASON},
    "registry/models/<name>/versions/<number>/card/": {"owner": "Risk team"},
    "api/v1/versions/<pk>/deprecate/": {"password": PASSWORD, **REASON},
    "registry/policies/edit/": {"source": DOCUMENT, "seen": "0", "password": PASSWORD, **REASON},
    "registry/policies/edit/check/": {"source": DOCUMENT},
    "registry/policies/edit/replay/": {"source": DOCUMENT},
    "deployments/<pk>/rollback/": REASON,
    "deployments/<pk>/retire/": REASON,
    "deployments/<pk>/canary/pause/": REASON,
    "deployments/<pk>/canary/resume/": REASON,
    "deployments/<pk>/canary/abort/": REASON,
    "deployments/<pk>/window/void/": REASON,
    "audit/findings/<pk>/waive/": _until,
    "audit/findings/<pk>/revoke/": REASON,
    "notifications/webhooks/": {
        "name": "Chat", "url": "https://93.184.216.34/x", "kind": "signed", "model": "",
    },
    "notifications/webhooks/own/": {
        "name": "Mine", "url": "https://93.184.216.34/x", "kind": "signed",
    },
    "accounts/tokens/": {"days": "30"},
    "api/v1/experiments/": _experiment,
    "api/v1/selections/": lambda world: {"experiment": world["asked"].experiment_id, "top": 2},
    "api/v1/training-runs/": lambda world: {
        "experiment": world["asked"].experiment_id, "algorithm": "LightGBM", "trials": 3,
    },
    "api/v1/policies/": lambda world: {
        "source": DOCUMENT, "seen": 0, "password": PASSWORD, **REASON,
    },
    "api/v1/policies/replay/": {"source": DOCUMENT},
    "api/v1/promotions/": _request,
    "api/v1/promotions/<pk>/review/": _decision,
    "api/v1/promotions/<pk>/withdraw/": REASON,
    "api/v1/promotions/<pk>/resubmit/": REASON,
    "api/v1/deployments/<pk>/rollback/": REASON,
    "api/v1/deployments/<pk>/stop/": REASON,
    "api/v1/deployments/<pk>/pause/": REASON,
    "api/v1/deployments/<pk>/resume/": REASON,
    "api/v1/deployments/<pk>/abort/": REASON,
    "api/v1/findings/<pk>/waive/": _expires,
    "api/v1/findings/<pk>/revoke/": REASON,
    "api/v1/audit-runs/": {"phase": 4},
}  # fmt: skip
