"""The answer of a policy: allowed or not, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from e2i_site.core.errors import Refused


@dataclass(frozen=True)
class Decision:
    """Result of a policy function.

    `reasons` are full sentences that say why something is refused; empty when it is allowed.
    Templates show them beside a disabled button; actions raise them.
    """

    reasons: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return not self.reasons

    @property
    def reason(self) -> str:
        return " ".join(self.reasons)

    def __bool__(self) -> bool:
        return self.allowed

    def enforce(self) -> None:
        """Raise `Refused` with the reasons unless allowed."""
        if self.reasons:
            raise Refused(self.reasons)


ALLOWED = Decision()


def refuse(*reasons: str) -> Decision:
    """A refusal with its reasons; empty strings are dropped."""
    return Decision(tuple(reason for reason in reasons if reason))
