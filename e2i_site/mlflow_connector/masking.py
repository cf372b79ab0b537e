"""Secrets are hidden before anything is logged or stored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

MASK = "***"
_SECRET_WORDS = {
    "password", "passwd", "pwd", "passphrase", "secret", "token", "apikey", "credential",
    "credentials", "authorization",
}  # fmt: skip
_SECRET_PAIRS = {("api", "key"), ("access", "key"), ("private", "key"), ("secret", "key")}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_USERINFO = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
_ASSIGNED = re.compile(
    r"(?i)\b((?:\w*_)?(?:password|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key"
    r"|private[_-]?key))\b(\"?'?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&\"'})\]]+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")


def is_secret(key: str) -> bool:
    """True when a key names a secret: `db_password`, `apiKey`, `MLFLOW_TRACKING_TOKEN`."""
    words = [word.lower() for word in _WORDS.findall(key)]
    if _SECRET_WORDS.intersection(words):
        return True
    return any(pair in _SECRET_PAIRS for pair in pairwise(words))


def mask_text(text: str) -> str:
    """The text without the secrets that can be told by their form."""
    text = _USERINFO.sub(MASK, text)
    text = _ASSIGNED.sub(rf"\1\2{MASK}", text)
    return _BEARER.sub(rf"\1 {MASK}", text)


def mask(value: Any) -> Any:
    """A copy of plain data with every value under a secret key, and every secret text, hidden."""
    if isinstance(value, Mapping):
        return {
            key: MASK if is_secret(str(key)) and item not in (None, "") else mask(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [mask(item) for item in value]
    return mask_text(value) if isinstance(value, str) else value
