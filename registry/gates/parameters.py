"""What a policy may say about a gate: names, legal values, defaults and words for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(Enum):
    NUMBER = "a number"
    INTEGER = "a whole number"
    INTEGERS = "a list of whole numbers"
    TEXT = "a text"
    FLAG = "true or false"
    TEXTS = "a list of texts"
    NUMBERS = "names with a number each"


class _Required(Enum):
    REQUIRED = "required"


REQUIRED = _Required.REQUIRED


@dataclass(frozen=True)
class Parameter:
    """One setting of a gate.

    `words` names it on pages ("Largest loss against the champion"); `unit` follows its value.
    `minimum` and `maximum` are inclusive and hold for every number in it. A parameter without a
    default has to be given; a default of None means "not limited".
    """

    kind: Kind
    words: str
    default: Any = REQUIRED
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED

    @property
    def legal(self) -> str:
        """What may be given, for an error message: "a number from 0 to 1"."""
        if self.choices:
            kind = "a list of some of " if self.kind is Kind.TEXTS else "one of "
            return kind + ", ".join(self.choices)
        parts = [self.kind.value]
        if self.minimum is not None and self.maximum is not None:
            parts.append(f"from {self.minimum:g} to {self.maximum:g}")
        elif self.minimum is not None:
            parts.append(f"of at least {self.minimum:g}")
        elif self.maximum is not None:
            parts.append(f"of at most {self.maximum:g}")
        return " ".join(parts)

    def accepts(self, value: Any) -> bool:
        """Whether a policy may give `value`."""
        if value is None:
            return self.default is None
        match self.kind:
            case Kind.NUMBER:
                return self._in_range(value)
            case Kind.INTEGER:
                return self._is_whole(value)
            case Kind.INTEGERS:
                return isinstance(value, list) and bool(value) and all(map(self._is_whole, value))
            case Kind.FLAG:
                return isinstance(value, bool)
            case Kind.TEXT:
                return self._is_choice(value)
            case Kind.TEXTS:
                return isinstance(value, list) and bool(value) and all(map(self._is_choice, value))
            case Kind.NUMBERS:
                return (
                    isinstance(value, Mapping)
                    and bool(value)
                    and all(isinstance(name, str) and name for name in value)
                    and all(map(self._in_range, value.values()))
                )

    def shown(self, value: Any) -> str:
        """`value` in words, with its unit."""
        if value is None:
            return "not given" if self.kind is Kind.TEXT else "not limited"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, Mapping):
            text = ", ".join(f"{name} {number:g}" for name, number in value.items())
        elif isinstance(value, list | tuple):
            text = ", ".join(map(str, value))
        else:
            text = f"{value:g}" if isinstance(value, float) else str(value)
        return f"{text} {self.unit}".strip()

    def _is_whole(self, value: Any) -> bool:
        return isinstance(value, int) and self._in_range(value)

    def _in_range(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not math.isfinite(value):
            return False
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        return low <= value <= high

    def _is_choice(self, value: Any) -> bool:
        return isinstance(value, str) and bool(value) and value in (self.choices or (value,))


Parameters = Mapping[str, Parameter]


def max_age_hours(rules: Mapping[str, Any], specification: Mapping[str, Any]) -> float | None:
    """How old evidence may be: the gate's own limit, else its stage's; None when not limited."""
    hours = specification.get("evidence_max_age_hours", rules.get("evidence_max_age_hours"))
    return None if hours is None else float(hours)


# Every gate entry may carry these beside the gate's own parameters.
COMMON: Parameters = {
    "dry_run": Parameter(Kind.FLAG, "Reports only, never blocks", default=False),
    "evidence_max_age_hours": Parameter(
        Kind.NUMBER, "Evidence no older than", default=None, minimum=0.01, unit="h"
    ),
}
