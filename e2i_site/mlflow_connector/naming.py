"""Names of MLflow experiments and registered models, and how to read them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from e2i_site.core.errors import InvalidInput

PREFIX = "e2i_"
AGENT_TYPES = ("model_selection", "model_trainer", "model_deployer")
_SLUG = re.compile(r"^[a-z0-9][a-z0-9_-]*$", re.IGNORECASE)
_EXPERIMENT = re.compile(rf"^{PREFIX}({'|'.join(AGENT_TYPES)})_(.+)$")
_MODEL = re.compile(rf"^{PREFIX}(.+)_([A-Za-z0-9]+)$")


@dataclass(frozen=True)
class ExperimentName:
    """The parts of a conforming experiment name."""

    agent_type: str
    experiment_id: str


def experiment_name(agent_type: str, experiment_id: str) -> str:
    """`e2i_{agent_type}_{experiment_id}`; a name that already has that form is returned as it is.

    Raises:
        InvalidInput: unknown agent type, or an experiment id that is not a slug.
    """
    if agent_type not in AGENT_TYPES:
        raise InvalidInput(
            f"Agent type {agent_type!r} is unknown; use one of {', '.join(AGENT_TYPES)}."
        )
    prefix = f"{PREFIX}{agent_type}_"
    return prefix + _slug(experiment_id.removeprefix(prefix))


def model_name(experiment_id: str, algorithm: str) -> str:
    """`e2i_{experiment_id}_{algorithm}`; the prefix is never applied twice."""
    return f"{PREFIX}{_slug(experiment_id.removeprefix(PREFIX))}_{_slug(algorithm)}"


def conforms(name: str) -> ExperimentName | None:
    """The parts of an experiment name, or None when it does not follow the rule."""
    match = _EXPERIMENT.match(name)
    if not match or not _SLUG.match(match[2]) or match[2].startswith(PREFIX):
        return None
    return ExperimentName(match[1], match[2])


def model_conforms(name: str) -> bool:
    """True for a model name of the form `e2i_{experiment_id}_{algorithm}`."""
    match = _MODEL.match(name)
    return bool(match and _SLUG.match(match[1]) and not match[1].startswith(PREFIX))


def _slug(value: str) -> str:
    if not _SLUG.match(value):
        raise InvalidInput(
            f"{value!r} cannot be part of an MLflow name; use letters, digits, - and _."
        )
    return value
