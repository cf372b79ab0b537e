"""What MLflow does not list: is it gone, hidden from our account, or only skipped by a page?"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from e2i_site.mlflow_connector import Presence, get_connector

#: Of what is known to be hidden, so many are asked about in each sync; one may be deleted by now.
ASKED_AGAIN = 20


def to_ask(missing: Collection[str], rows: Mapping[str, Any]) -> list[str]:
    """Which of the missing things to ask MLflow about: all new ones, and some of the hidden.

    Args:
        rows: by key; each knows since when its thing is hidden.
    """
    hidden = [each for each in missing if rows[each].hidden_since is not None]
    new = [each for each in missing if rows[each].hidden_since is None]
    return sorted(new) + random.sample(hidden, min(len(hidden), ASKED_AGAIN))


def gone(kind: str, owners: Iterable[tuple[Any, Any]]) -> tuple[list[str], set[str]]:
    """Which of the missing things MLflow has no more, and the experiments that it hides.

    MLflow's permissions hide all things of an experiment or none, so one that is hidden speaks
    for its experiment.

    Args:
        kind: run or logged_model.
        owners: (id, experiment's id) of each missing thing.
    """
    connector = get_connector()
    lost: list[str] = []
    hidden: set[str] = set()
    for key, experiment_id in owners:
        if str(experiment_id) in hidden:
            continue
        presence = connector.presence(kind, str(key))
        if presence is Presence.HIDDEN:
            hidden.add(str(experiment_id))
        elif presence is Presence.GONE:
            lost.append(str(key))
    return lost, hidden
