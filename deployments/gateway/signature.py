"""What a model takes, as its MLmodel file says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Kinds of columns that the gateway converts and checks itself.
NUMBERS = {"double": np.float64, "float": np.float32, "integer": np.int32, "long": np.int64}
PLAIN = frozenset({*NUMBERS, "boolean", "string", "datetime", "binary"})


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    required: bool = True


@dataclass(frozen=True)
class Tensor:
    """`shape` has -1 where any size fits."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Signature:
    """Named columns, or one tensor, or neither: then any input is passed on unchecked.

    `plain` says that every column is of a kind which the gateway checks completely.
    """

    columns: tuple[Column, ...] = ()
    tensor: Tensor | None = None
    takes_params: bool = False

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def plain(self) -> bool:
        return bool(self.columns) and all(column.kind in PLAIN for column in self.columns)

    @property
    def all_double(self) -> bool:
        return bool(self.columns) and all(
            column.kind == "double" and column.required for column in self.columns
        )

    @classmethod
    def from_mlmodel(cls, document: Mapping[str, Any]) -> Signature:
        """From the content of an MLmodel file; without a signature, an empty one.

        Raises ValueError for a signature that is not understood.
        """
        raw = document.get("signature") or {}
        takes_params = bool(json.loads(raw.get("params") or "null"))
        inputs = json.loads(raw.get("inputs") or "[]")
        if any("name" not in each for each in inputs):
            tensor = _tensor(inputs[0]) if len(inputs) == 1 else None
            return cls(tensor=tensor, takes_params=takes_params)
        columns = tuple(
            Column(each["name"], each.get("type", "any"), each.get("required", True))
            for each in inputs
        )
        return cls(columns=columns, takes_params=takes_params)


def _tensor(spec: Mapping[str, Any]) -> Tensor | None:
    if spec.get("type") != "tensor":
        return None
    inner = spec["tensor-spec"]
    return Tensor(inner["dtype"], tuple(inner["shape"]))
