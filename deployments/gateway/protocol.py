"""MLflow's scoring protocol: a request body becomes a model's input, its answer becomes JSON.

Pure. Input that does not fit the model's signature raises `BadRequest` naming the column, so the
caller's mistakes never count as the model's errors.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson
import pandas as pd

from deployments.gateway.columns import BadRequest, convert, packed
from deployments.gateway.signature import Signature, Tensor

logger = logging.getLogger(__name__)

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
JSON, CSV = "application/json", "text/csv"

_NUMBER_OR_NULL = {float, int, type(None)}
_NO_ROWS = "The input has no rows."


class UnsupportedMediaType(Exception):
    """The body is neither JSON nor CSV in UTF-8."""


@dataclass(frozen=True)
class ModelInput:
    """`data` is a data frame or an array; `params` only for models that take them.

    `checked` says that every column was checked and converted, nothing is left to enforce.
    """

    data: Any
    params: dict[str, Any] | None = None
    checked: bool = False


def parse(body: bytes, content_type: str, signature: Signature) -> ModelInput:
    """The model's input. Raises BadRequest or UnsupportedMediaType, and nothing else."""
    kind = _media_type(content_type)
    try:
        return _parse(body, kind, signature)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        # Whatever the checks overlooked, no model has seen the input yet.
        logger.exception("A body could not be read")
        raise BadRequest(f"The input cannot be read: {type(error).__name__}.") from error


def _parse(body: bytes, kind: str, signature: Signature) -> ModelInput:
    if not body.strip():
        raise BadRequest("The body is empty.")
    if kind == CSV:
        return _enforce(_from_csv(body), None, signature)
    document = _document(body)
    params = _params(document, signature)
    name = _format(document)
    return _enforce(_READERS[name](document[name], signature), params, signature)


def format_predictions(answer: Any) -> bytes:
    """{"predictions": [...]} as MLflow's scoring server writes it; what is missing becomes null.

    Raises TypeError for an answer that has no JSON form.
    """
    return orjson.dumps(
        {"predictions": _jsonable(answer)},
        option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS,
        default=_plain,
    )


def read_predictions(content: bytes) -> Any:
    """The predictions in what `format_predictions` wrote: as a caller sees them."""
    return orjson.loads(content)["predictions"]


def _jsonable(answer: Any) -> Any:
    """Frames as records, arrays as lists; what is inside of others is left to `_plain`."""
    if isinstance(answer, pd.Series):
        answer = answer.to_frame()
    if isinstance(answer, pd.DataFrame):
        return answer.to_dict(orient="records")
    if isinstance(answer, np.ndarray):
        return answer.tolist()
    return answer


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | pd.Series):
        return value.tolist()
    if isinstance(value, pd.DataFrame):
        return value.to_dict(orient="records")
    if value is pd.NA or value is pd.NaT:
        return None
    raise TypeError(f"The model answered with {type(value).__name__}, which has no JSON form.")


def _media_type(content_type: str) -> str:
    kind, *options = (part.strip().lower() for part in content_type.split(";"))
    if kind not in (JSON, CSV):
        raise UnsupportedMediaType(
            f"Content-Type is {content_type or 'missing'}; send {JSON} or {CSV}."
        )
    if any(option.replace('"', "") not in ("charset=utf-8", "") for option in options):
        raise UnsupportedMediaType(f"Content-Type is {content_type}; only UTF-8 is understood.")
    return kind


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise BadRequest(f"The body must be a JSON object with one of {', '.join(FORMATS)}.")
    return document


def _params(document: dict[str, Any], signature: Signature) -> dict[str, Any] | None:
    params = document.get("params")
    if params is None:
        return None
    if not signature.takes_params:
        raise BadRequest("This model takes no params.")
    if not isinstance(params, dict):
        raise BadRequest("params must be an object.")
    return params


def _format(document: Mapping[str, Any]) -> str:
    names = [name for name in document if name != "params"]
    if len(names) != 1 or names[0] not in FORMATS:
        found = ", ".join(map(repr, names)) or "nothing"
        raise BadRequest(f"The body must hold exactly one of {', '.join(FORMATS)}; found {found}.")
    return str(names[0])


def _from_csv(body: bytes) -> pd.DataFrame:
    try:
        frame = pd.read_csv(io.BytesIO(body), dtype=str, keep_default_na=False, na_values=[""])
    except (ValueError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body is not CSV with a header line: {error}") from None
    if len(frame) and not isinstance(frame.index, pd.RangeIndex):
        # Without a name for each value pandas takes the first for a label, and moves the others.
        raise BadRequest("A line has more values than the header has names.")
    return frame


def _from_split(value: Any, signature: Signature) -> Any:
    if not isinstance(value, dict) or "data" not in value:
        raise BadRequest("dataframe_split must be an object with columns and data.")
    if unknown := set(value) - {"columns", "data", "index"}:
        raise BadRequest(f"dataframe_split does not know {', '.join(sorted(unknown))}.")
    rows = value["data"]
    columns = value.get("columns")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise BadRequest("data of dataframe_split must be a list of rows, each a list.")
    if columns is None:
        columns = signature.names or None
    elif not isinstance(columns, list) or len(set(map(str, columns))) != len(columns):
        raise BadRequest("columns of dataframe_split must be a list of different names.")
    return _table(columns, rows, signature)


def _table(columns: list[Any] | None, rows: list[list[Any]], signature: Signature) -> Any:
    """Rows under `columns`; a frame straight away where everything is a number already."""
    width = len(columns) if columns is not None else len(rows[0]) if rows else 0
    for number, row in enumerate(rows):
        if len(row) != width:
            raise BadRequest(f"Row {number} has {len(row)} values for {width} columns.")
    if signature.all_double and columns == signature.names and rows:
        kinds = set(map(type, chain.from_iterable(rows)))
        if kinds <= _NUMBER_OR_NULL:
            return pd.DataFrame(_matrix(rows), columns=columns, copy=False)
    if columns is None:
        return pd.DataFrame(rows)
    cells = zip(*rows, strict=True) if rows else ((),) * width
    return {str(name): list(values) for name, values in zip(columns, cells, strict=True)}


def _matrix(rows: list[list[Any]]) -> Any:
    try:
        return np.array(rows, dtype=np.float64)
    except OverflowError:
        raise BadRequest("A number is too large for a double.") from None


def _from_records(value: Any, signature: Signature) -> Any:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise BadRequest("Records must be a list of objects, one a row.")
    names = signature.names
    if names and all(row.keys() == set(names) for row in value):
        return _table(names, [[row[name] for name in names] for row in value], signature)
    every = dict.fromkeys(chain.from_iterable(value))
    return {name: [row.get(name) for row in value] for name in every}


def _from_instances(value: Any, signature: Signature) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return _from_records(value, signature)
    return _from_inputs(value, signature)


def _from_inputs(value: Any, signature: Signature) -> Any:
    if isinstance(value, dict):
        columns = {name: each if isinstance(each, list) else [each] for name, each in value.items()}
        if len({len(each) for each in columns.values()}) > 1:
            raise BadRequest("The inputs have columns of different lengths.")
        return columns
    if not isinstance(value, list):
        raise BadRequest("inputs and instances must be a list or an object of columns.")
    if signature.columns:
        rows = value if all(isinstance(row, list) for row in value) else [[each] for each in value]
        return _table(signature.names, rows, signature)
    return _array(value, signature.tensor)


_READERS = {
    "dataframe_split": _from_split,
    "dataframe_records": _from_records,
    "instances": _from_instances,
    "inputs": _from_inputs,
}


def _array(value: Any, tensor: Tensor | None) -> Any:
    try:
        array = packed(value, tensor.dtype if tensor else None)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(f"The values do not form an array: {error}.") from None
    if array.dtype == object:
        raise BadRequest("The values do not form an array of one kind.")
    return array


def _fits(shape: Iterable[int], wanted: tuple[int, ...]) -> bool:
    found = tuple(shape)
    return len(found) == len(wanted) and all(
        want in (-1, size) for size, want in zip(found, wanted, strict=True)
    )


def _enforce(data: Any, params: dict[str, Any] | None, signature: Signature) -> ModelInput:
    """Hold `data` to the signature: columns present, in order, of their kinds; shapes fit."""
    if not signature.columns:
        return ModelInput(_enforce_tensor(data, signature.tensor), params)
    if isinstance(data, pd.DataFrame) and signature.all_double and _is_ready(data, signature):
        return ModelInput(data, params, checked=True)
    columns = {str(name): list(data[name]) for name in data}
    missing = [
        each.name for each in signature.columns if each.required and each.name not in columns
    ]
    if missing:
        raise BadRequest(f"Column missing: {', '.join(map(repr, missing))}.")
    known = [each for each in signature.columns if each.name in columns]
    frame = pd.DataFrame({each.name: convert(columns[each.name], each) for each in known})
    if not len(frame):
        raise BadRequest(_NO_ROWS)
    return ModelInput(frame, params, checked=signature.plain and len(known) == len(signature.names))


def _is_ready(frame: pd.DataFrame, signature: Signature) -> bool:
    return list(frame.columns) == signature.names and bool((frame.dtypes == np.float64).all())


def _enforce_tensor(data: Any, tensor: Tensor | None) -> Any:
    if tensor is None:
        return data if isinstance(data, pd.DataFrame | np.ndarray) else pd.DataFrame(data)
    array = data if isinstance(data, np.ndarray) else pd.DataFrame(data).to_numpy()
    array = _array(array, tensor) if array.dtype != np.dtype(tensor.dtype) else array
    if not _fits(array.shape, tensor.shape):
        raise BadRequest(f"The input has shape {array.shape}; the model takes {tensor.shape}.")
    if array.shape[:1] == (0,):
        raise BadRequest(_NO_ROWS)
    return array
