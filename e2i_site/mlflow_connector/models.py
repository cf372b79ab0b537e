"""Model files: saved so that plain MLflow loads them, and told apart by their digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from e2i_site.core.errors import InvalidInput

#: Written by MLflow next to a registered model when it is downloaded.
_IGNORED = "registered_model_meta"
_TRUSTED_ROOTS = {
    "collections", "imblearn", "lightgbm", "numpy", "pandas", "scipy", "sklearn", "xgboost",
}  # fmt: skip


def digest(path: Path | str) -> str:
    """sha256 over the sorted relative paths and contents of a model's files.

    The same files have the same digest wherever they are.

    Raises:
        InvalidInput: the folder is absent or empty, or holds a symbolic link.
    """
    root = Path(path)
    total = hashlib.sha256()
    files = sorted(
        (file.relative_to(root).as_posix(), file)
        for file in root.rglob("*")
        if (file.is_symlink() or not file.is_dir()) and file.name != _IGNORED
    )
    if not files:
        raise InvalidInput(f"{root} holds no files to compute a digest of.")
    for name, file in files:
        if file.is_symlink():
            raise InvalidInput(f"{file} is a symbolic link; a model consists of plain files.")
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        total.update(f"{content}  {name}\n".encode())
    return total.hexdigest()


def read_signature(path: Path | str) -> dict[str, Any]:
    """Inputs, outputs and params from the MLmodel file of a local model; only those it has.

    Raises:
        InvalidInput: the MLmodel file is absent or cannot be read.
    """
    file = Path(path) / "MLmodel"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        signature = content.get("signature") or {}
        parts = ("inputs", "outputs", "params")
        return {part: json.loads(signature[part]) for part in parts if signature.get(part)}
    except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{file} cannot be read as MLflow's model file: {error}") from None


def save_model(
    fitted: Any,
    path: Path | str,
    *,
    example: Any = None,
    signature: Any = None,
    requirements: Sequence[str],
    predict_method: str = "predict",
) -> Path:
    """Save a fitted scikit-learn estimator or Pipeline as an MLflow model.

    The format is skops, which plain MLflow loads without unpickling. LightGBM and XGBoost
    estimators are saved the same way, alone or in a Pipeline.

    Args:
        example: a few input rows; the signature is inferred from them when none is given.
        requirements: pinned pip requirements.
        predict_method: what `predict` of the loaded model calls.

    Raises:
        InvalidInput: the target exists, or the model holds types that a plain MLflow
            installation does not know.
    """
    import mlflow.sklearn
    from mlflow.models import infer_signature

    target = Path(path)
    if target.exists():
        raise InvalidInput(f"{target} exists already; name a new place for the model.")
    if signature is None and example is not None:
        signature = infer_signature(example, getattr(fitted, predict_method)(example))
    mlflow.sklearn.save_model(
        fitted,
        str(target),
        signature=signature,
        input_example=example,
        pip_requirements=list(requirements),
        serialization_format="skops",
        skops_trusted_types=_types(fitted),
        pyfunc_predict_fn=predict_method,
    )
    return target


def _types(fitted: Any) -> list[str]:
    """The types in a model that skops wants to be told about, all from known libraries."""
    import skops.io  # type: ignore[import-untyped]

    found: list[str] = skops.io.get_untrusted_types(data=skops.io.dumps(fitted))
    foreign = [name for name in found if name.split(".")[0] not in _TRUSTED_ROOTS]
    if foreign:
        raise InvalidInput(
            f"The model holds types that a plain MLflow installation does not know: "
            f"{', '.join(foreign)}. Use steps from scikit-learn, LightGBM or XGBoost."
        )
    return found


def load_pyfunc(path: Path | str) -> Any:
    """Load a model from a local folder. Check its digest first: loading runs its code."""
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(path))


def refusal(model: Any, data: Any, params: dict[str, Any] | None) -> str:
    """Why a loaded model's own signature refuses this input; empty when it takes it."""
    from mlflow import pyfunc
    from mlflow.exceptions import MlflowException

    check = getattr(pyfunc, "_validate_prediction_input", None)
    metadata = getattr(model, "metadata", None)
    if check is None or metadata is None:
        return ""
    try:
        check(data, params, metadata.get_input_schema(), metadata.get_params_schema())
    except MlflowException as error:
        # Before it the message repeats the whole input.
        return str(error).rpartition("Error: ")[2] or "The input does not fit the signature."
    return ""


def loading_modules(paths: Iterable[Path]) -> list[str]:
    """The modules that loading these local models takes, of MLflow and of libraries it names.

    For a process that loads several: never the models' own code.
    """
    files = [content for path in paths if (content := _model_file(path))]
    found = ["mlflow.pyfunc", "pandas"] if files else []
    if any("loader_module: mlflow.sklearn" in content for content in files):
        found += ["mlflow.sklearn", "sklearn.pipeline", "skops.io"]
    return found


def _model_file(path: Path) -> str:
    try:
        return (path / "MLmodel").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
