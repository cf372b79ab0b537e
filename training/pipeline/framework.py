"""Which library a fitted object is from."""

from __future__ import annotations

from typing import Any

_FRAMEWORKS = ("xgboost", "lightgbm", "catboost", "statsmodels", "econml", "tensorflow", "sklearn")
# Modules whose classes only search for, calibrate or tune the estimator they hold.
_WRAPPERS = ("sklearn.model_selection", "sklearn.calibration", "sklearn.frozen")
UNKNOWN = "unknown"


def detect(model: Any) -> str:
    """Framework of a fitted object, looking through Pipelines and search wrappers.

    One of sklearn, xgboost, lightgbm, catboost, pytorch, tensorflow, statsmodels, econml;
    anything else is "unknown". Judged by the classes it is made of, so nothing is imported.
    """
    inner = _unwrap(model)
    packages = [kind.__module__.split(".")[0] for kind in type(inner).__mro__]
    if "torch" in packages:
        return "pytorch"
    if "keras" in packages:
        return "tensorflow"
    return next((name for name in _FRAMEWORKS if name in packages), UNKNOWN)


def _unwrap(model: Any, depth: int = 0) -> Any:
    """The estimator inside a Pipeline, a search, a calibration or a target transformation."""
    if depth > 10:
        return model
    steps = getattr(model, "steps", None)
    if isinstance(steps, list) and steps and isinstance(steps[-1], tuple):
        return _unwrap(steps[-1][1], depth + 1)
    wraps = type(model).__module__.startswith(_WRAPPERS)
    for attribute in ("best_estimator_", "regressor_", *(("estimator",) if wraps else ())):
        inner = getattr(model, attribute, None)
        if inner is not None and hasattr(inner, "predict"):
            return _unwrap(inner, depth + 1)
    return model
