"""One POST to an address that somebody typed in: no redirects, no proxies, bounded in all ways.

The name is resolved once and the connection goes to the address that was checked, so that a name
that resolves to something else a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from e2i_site.core.errors import E2IError, InvalidInput
from e2i_site.notifications.addresses import Address, Network, is_allowed, refusal

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 10.0
READ_BYTES = 2048
SEND_BYTES = 64 * 1024


class AddressRefused(E2IError):
    """The address must not be reached. Trying again does not help."""


class NotDelivered(E2IError):
    """The other side was not reached, or did not answer in time."""


@dataclass(frozen=True)
class Reply:
    """What came back; `body` at most `READ_BYTES`."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Target:
    """A checked URL and the address that its name had when it was checked."""

    url: SplitResult
    address: Address

    @property
    def host(self) -> str:
        return self.url.hostname or ""

    @property
    def port(self) -> int:
        return self.url.port or (443 if self.url.scheme == "https" else 80)


def parse(url: str) -> SplitResult:
    """The URL in parts. InvalidInput says what is wrong with it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"This is no URL: {error}.", field="url") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise InvalidInput("Give a whole URL, such as https://example.org/hook.", field="url")
    if parts.username or parts.password or parts.fragment or port == 0:
        raise InvalidInput(
            "The URL must have no user name, no password, no # and no port 0.", field="url"
        )
    if any(character <= " " or character == "\x7f" for character in url) or not url.isascii():
        raise InvalidInput("The URL must be plain ASCII without spaces.", field="url")
    return parts


def resolve(url: str, allowed: Sequence[Network] = ()) -> Target:
    """Look the name up, once. AddressRefused when any of its addresses must not be reached."""
    parts = parse(url)
    host = parts.hostname or ""
    try:
        rows = socket.getaddrinfo(host, parts.port or parts.scheme, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"{host} cannot be resolved: {error}") from None
    addresses = [ipaddress.ip_address(str(row[4][0]).split("%")[0]) for row in rows]
    if not addresses:
        raise NotDelivered(f"{host} has no address.")
    for address in addresses:
        if reason := refusal(address, allowed):
            raise AddressRefused(
                f"{host} is refused: {reason} E2I_WEBHOOK_ALLOW names networks that are allowed."
            )
        if parts.scheme == "http" and not is_allowed(address, allowed):
            raise AddressRefused(
                f"{host} is refused: plain http goes only to networks of E2I_WEBHOOK_ALLOW; "
                "use https."
            )
    return Target(parts, addresses[0])


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, allowed: Sequence[Network] = ()
) -> Reply:
    """POST `body` and give the answer, whatever its status; redirects are not followed.

    Raises AddressRefused, InvalidInput, or NotDelivered when there is no answer within
    `TOTAL_SECONDS`.
    """
    if len(body) > SEND_BYTES:
        raise InvalidInput(f"The message has {len(body)} bytes, more than {SEND_BYTES}.")
    target = resolve(url, allowed)
    connection = _connection(target)
    # Socket time-outs are per read; whoever sends a byte a second is cut off by this.
    alarm = threading.Timer(TOTAL_SECONDS, _hang_up, [connection])
    alarm.daemon = True
    alarm.start()
    try:
        path = (target.url.path or "/") + (f"?{target.url.query}" if target.url.query else "")
        connection.request("POST", path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        return Reply(answer.status, answer.read(READ_BYTES))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NotDelivered(f"{target.host} did not answer: {_words(error)}") from None
    finally:
        alarm.cancel()
        connection.close()


def _connection(target: Target) -> http.client.HTTPConnection:
    if target.url.scheme == "http":
        return _Pinned(target)
    return _PinnedTLS(target)


def _open(target: Target) -> socket.socket:
    """Connect to the checked address itself; the resolver is not asked again."""
    family = socket.AF_INET if target.address.version == 4 else socket.AF_INET6
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.settimeout(CONNECT_SECONDS)
        made.connect((str(target.address), target.port))
    except OSError:
        made.close()
        raise
    return made


class _Pinned(http.client.HTTPConnection):
    """Connects to the checked address and names the host that was asked for."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.host, target.port)
        self._target = target

    def connect(self) -> None:
        self.sock = _open(self._target)


class _PinnedTLS(http.client.HTTPSConnection):
    """The same with TLS; the certificate must be the host's."""

    def __init__(self, target: Target) -> None:
        self._tls = ssl.create_default_context()
        super().__init__(target.host, target.port, context=self._tls)
        self._target = target

    def connect(self) -> None:
        # Known before the handshake, so that the alarm can end that too.
        secured = self._tls.wrap_socket(
            _open(self._target),
            server_hostname=self._target.host,
            do_handshake_on_connect=False,
        )
        self.sock = secured
        secured.do_handshake()


def _hang_up(connection: http.client.HTTPConnection) -> None:
    made = connection.sock
    if made is not None:
        try:
            made.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
