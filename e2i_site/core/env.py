"""Strict reading of the environment. A value that does not parse stops the start."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import environ

from e2i_site.core.errors import ConfigurationError

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    """Value of `name`, or of the file that `name_FILE` points to, or `default`."""
    file = os.environ.get(f"{name}_FILE")
    if file:
        if name in os.environ:
            raise ConfigurationError(f"{name} and {name}_FILE are both set; keep one of them.")
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{name}_FILE: cannot read {file}: {error}") from None
    return os.environ.get(name, default)


def flag(name: str, default: bool = False) -> bool:
    """A yes/no value: 1/true/yes/on or 0/false/no/off."""
    raw = text(name, "on" if default else "off").strip().lower()
    if raw in _TRUE:
        return True
    if raw in _FALSE:
        return False
    raise ConfigurationError(f"{name}={raw!r} is neither true nor false; write 1 or 0.")


def number(name: str, default: float, *, minimum: float | None = None) -> float:
    """A number, at least `minimum`."""
    raw = text(name, str(default)).strip()
    try:
        value = float(raw)
    except ValueError:
        raise ConfigurationError(f"{name}={raw!r} is not a number.") from None
    if minimum is not None and value < minimum:
        raise ConfigurationError(f"{name}={raw} is below the least allowed value, {minimum:g}.")
    return value


def integer(name: str, default: int, *, minimum: int | None = None) -> int:
    """A whole number, at least `minimum`."""
    value = number(name, default, minimum=minimum)
    if not value.is_integer():
        raise ConfigurationError(f"{name}={value} is not a whole number.")
    return int(value)


def port(name: str, default: int) -> int:
    """A TCP port, 1 to 65535."""
    value = integer(name, default, minimum=1)
    if value > 65535:
        raise ConfigurationError(f"{name}={value} is not a TCP port (1 to 65535).")
    return value


def items(name: str, default: str = "") -> list[str]:
    """A comma-separated list, blanks dropped."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def folder(name: str, default: Path) -> Path:
    """A directory that is there."""
    raw = text(name).strip()
    path = Path(raw).resolve() if raw else default
    if raw and not path.is_dir():
        raise ConfigurationError(f"{name}={raw} is no directory; make it, or name another.")
    return path


def url(name: str, default: str = "", *, schemes: tuple[str, ...]) -> str:
    """A URL with one of `schemes`; empty only when the default is empty and nothing is set."""
    value = text(name, default).strip()
    if value and value.split("://", 1)[0] not in schemes:
        raise ConfigurationError(
            f"{name}={value.split('@')[-1]!r} is not a URL with one of these schemes: "
            f"{', '.join(schemes)}."
        )
    return value


def without_login(address: str) -> str:
    """The URL without the user and password in it, for people to see."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def networks(name: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """A comma-separated list of networks, such as 10.0.0.0/8; a single address is one too."""
    found = []
    for item in items(name):
        try:
            found.append(ipaddress.ip_network(item))
        except ValueError as error:
            raise ConfigurationError(f"{name} holds no network: {error}.") from None
    return found


def mail(name: str) -> dict[str, Any]:
    """Django's mail settings from a URL such as smtp+tls://user:pass@host:587; empty when unset."""
    raw = url(name, schemes=tuple(environ.Env.EMAIL_SCHEMES))
    if not raw:
        return {}
    try:
        parsed: dict[str, Any] = environ.Env.email_url_config(raw)
    except Exception as error:
        raise ConfigurationError(f"{name} does not parse as a mail URL: {error}") from None
    return parsed


def database(name: str, default: str) -> dict[str, Any]:
    """Django's database settings from a URL: sqlite:///path or postgresql://user:pass@host/db."""
    raw = url(name, default, schemes=("sqlite", "postgres", "postgresql", "postgresql+psycopg2"))
    try:
        parsed: dict[str, Any] = environ.Env.db_url_config(
            raw.replace("postgresql+psycopg2://", "postgresql://")
        )
    except Exception as error:
        raise ConfigurationError(f"{name} does not parse as a database URL: {error}") from None
    if not parsed.get("NAME"):
        raise ConfigurationError(f"{name} names no database.")
    return parsed
