"""What happens when a trained model has arrived in MLflow. `registry` registers itself here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from training.models import TrainingRun


@dataclass(frozen=True)
class RegisteredVersion:
    """A version that MLflow has given to a model trained here, with facts true of its bytes.

    `signature` is {"inputs": […], "outputs": […]} as in MLmodel; `digest` is the SHA-256 over the
    model's files as they were saved, before they were uploaded.
    """

    training_run: TrainingRun
    model_name: str
    model_version: int
    model_uri: str
    digest: str
    signature: Mapping[str, Any] = field(default_factory=dict)


Listener = Callable[[RegisteredVersion], object]
_listeners: list[Listener] = []


def on_version_registered(listener: Listener) -> Listener:
    """Call `listener` inside the transaction that stores the version's MLflow ids."""
    if listener not in _listeners:
        _listeners.append(listener)
    return listener


def version_registered(version: RegisteredVersion) -> None:
    """Tell the listeners; they must be idempotent, because a delivery may be repeated."""
    for listener in _listeners:
        listener(version)
