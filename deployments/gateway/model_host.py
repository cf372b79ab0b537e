"""Models in memory. Bytes are verified against their digest before anything of them is loaded."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deployments.gateway import protocol
from deployments.gateway.columns import BadRequest
from deployments.gateway.signature import Signature
from deployments.shadow.comparison import compare
from deployments.store import ArtifactStore, input_example
from e2i_site.mlflow_connector import models

logger = logging.getLogger(__name__)

Predict = Callable[[protocol.ModelInput], Any]


class LoadFailed(Exception):
    """The model cannot be served; the message says why."""


@dataclass(frozen=True)
class LoadedModel:
    """A verified model. `example` is its own input example as a request body, if it has one."""

    digest: str
    signature: Signature
    predict: Predict
    example: bytes | None
    load_seconds: float
    fast: bool


class ModelHost:
    """Loads models from the content-addressed store and keeps the most recent ones.

    `load(path)` turns a verified directory into an MLflow pyfunc model.
    """

    def __init__(
        self, store: ArtifactStore, load: Callable[[Path], Any], *, spare: int = 4
    ) -> None:
        self._store = store
        self._load = load
        self._spare = spare
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: str) -> LoadedModel | None:
        """The model if it is in memory."""
        with self._lock:
            model = self._models.get(digest)
            if model is not None:
                self._models.move_to_end(digest)
            return model

    def load(self, digest: str) -> LoadedModel:
        """The model, loaded if need be. Raises LoadFailed, having unpickled nothing unverified."""
        model = self.get(digest)
        if model is None:
            model = self._load_verified(digest)
            with self._lock:
                self._models[digest] = model
        return model

    def retain(self, needed: Iterable[str]) -> None:
        """Forget the least recent models beyond a few spares; never a needed one."""
        keep = set(needed)
        with self._lock:
            unneeded = [digest for digest in self._models if digest not in keep]
            for digest in unneeded[: max(0, len(unneeded) - self._spare)]:
                del self._models[digest]

    def _load_verified(self, digest: str) -> LoadedModel:
        started = time.perf_counter()
        check = self._store.verify(digest)
        if not check.ok:
            raise LoadFailed(check.message)
        path = self._store.path(digest)
        try:
            signature = Signature.from_mlmodel(yaml.safe_load((path / "MLmodel").read_text()))
            pyfunc = self._load(path)
        except Exception as error:
            logger.exception("The model %s does not load", digest)
            raise LoadFailed(f"The model does not load: {type(error).__name__}: {error}") from error
        example = input_example(path)
        predict, fast = _choose_path(pyfunc, signature, example)
        seconds = time.perf_counter() - started
        return LoadedModel(digest, signature, predict, example, seconds, fast)


def _choose_path(pyfunc: Any, signature: Signature, example: bytes | None) -> tuple[Predict, bool]:
    """Past MLflow's second schema check where the gateway's own one is complete.

    Only for models with plain columns, whose answer on their own input example is the same
    either way; the check alone costs about a millisecond a request. Predicting here also warms up.
    """

    def careful(given: protocol.ModelInput) -> Any:
        try:
            if given.params is not None:
                return pyfunc.predict(given.data, params=given.params)
            return pyfunc.predict(given.data)
        except Exception:
            # Nested columns and params are checked by MLflow alone.
            if why := models.refusal(pyfunc, given.data, given.params):
                raise BadRequest(why[:500]) from None
            raise

    # The function that MLflow's own `predict` ends in; the model names it in MLmodel.
    inner = getattr(pyfunc, "_predict_fn", None)
    if example is None or inner is None or not signature.plain or signature.takes_params:
        return careful, False

    def quick(given: protocol.ModelInput) -> Any:
        return inner(given.data) if given.checked else careful(given)

    try:
        given = protocol.parse(example, protocol.JSON, signature)
        same = not compare(_sent(careful(given)), _sent(quick(given))).differs
    except Exception:
        logger.exception("The model's own input example does not predict")
        return careful, False
    return (quick, True) if same else (careful, False)


def _sent(answer: Any) -> Any:
    return protocol.read_predictions(protocol.format_predictions(answer))


def answer(model: LoadedModel, body: bytes, content_type: str) -> bytes:
    """Parse, predict, format: the response body.

    Raises BadRequest or UnsupportedMediaType for the caller's mistakes; anything else is the
    model's.
    """
    given = protocol.parse(body, content_type, model.signature)
    return protocol.format_predictions(model.predict(given))


def example_predictions(model: LoadedModel) -> Any:
    """The answer on the model's own input example. Raises LoadFailed where it has none."""
    if model.example is None:
        raise LoadFailed("The model brings no input example to test it with.")
    return protocol.read_predictions(answer(model, model.example, protocol.JSON))
