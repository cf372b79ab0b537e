"""The one lock of a model, so that acts on it happen one after the other and never in a knot."""

from __future__ import annotations

from registry.models import RegisteredModel


def lock_model(name: str) -> None:
    """Let nobody else act on the model until the caller's transaction ends.

    Whatever changes promotions, stages or deployments of a model takes this first: rows are then
    locked in any order without two waiting for each other. Rows that point to the model may
    still be added meanwhile.
    """
    list(RegisteredModel.objects.select_for_update(no_key=True).filter(name=name).values("pk"))
