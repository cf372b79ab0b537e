"""A TCP proxy in front of a real HTTP server that breaks the line in chosen ways."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MODES = ("refuse", "hang", "stall", "error", "drop", "truncate", "corrupt", "busy", "omit", "odd")
_CANNED = {
    "error": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}",
    "busy": b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}",
}


@dataclass
class Fault:
    """What happens to requests like "POST /path" that match.

    refuse: the connection is reset before anything is read by the server. hang: no answer until
    the fault is lifted, then as usual. stall: the server does its
    work at once and the answer waits. error, busy: 500 and 429 without asking the server. drop:
    the server does its work and the answer is lost. truncate: half of the answer arrives.
    corrupt: all of it arrives, and its body is nonsense. omit: it arrives without the things of
    its lists that `item` fits, as when a page skips one. odd: it is JSON, and each text that
    `item` fits is an object where none belongs. `body`: what must be in the request.
    `match`, `body` and `item` are regular expressions.
    """

    mode: str
    match: str = ""
    skip: int = 0
    times: int | None = None
    first_only: bool = False
    body: str = ""
    item: str = ""
    hits: int = 0
    known: set[int] = field(default_factory=set)
    lifted: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    def takes(self, request: str, message: bytes) -> bool:
        if self.lifted.is_set() or not re.search(self.match, request):
            return False
        if not re.search(self.body.encode(), message):
            return False
        if self.first_only and hash(message) in self.known:
            return False
        self.known.add(hash(message))
        self.hits += 1
        number = self.hits - self.skip
        return number > 0 and (self.times is None or number <= self.times)


class FaultProxy:
    """Listens on a free port and forwards to `upstream`; `requests` lists what came."""

    def __init__(self, upstream: str) -> None:
        self.redirect(upstream)
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.requests: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def redirect(self, upstream: str) -> None:
        """Forward new connections to another server."""
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 80)

    def fault(
        self,
        mode: str,
        match: str = "",
        *,
        skip: int = 0,
        times: int | None = None,
        first_only: bool = False,
        body: str = "",
        item: str = "",
    ) -> Fault:
        """Break matching requests from now on: after the first `skip`, and `times` times.

        `first_only`: each different request is broken when it comes first, not when it is repeated.
        """
        assert mode in MODES
        made = Fault(mode, match, skip, times, first_only, body, item)
        with self._lock:
            self._faults.append(made)
        return made

    def heal(self) -> None:
        """Lift all faults; requests that hang go on."""
        with self._lock:
            for each in self._faults:
                each.lifted.set()
            self._faults.clear()

    @contextmanager
    def broken(self, mode: str, match: str = "") -> Iterator[None]:
        """A fault for the length of a block."""
        self.fault(mode, match)
        try:
            yield
        finally:
            self.heal()

    def close(self) -> None:
        self.heal()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # A client that goes away has every right to.
        with client, contextlib.suppress(OSError):
            self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        client.settimeout(60)
        message = _read_request(client)
        if not message:
            return
        request = " ".join(message.split(b"\r\n", 1)[0].decode().split()[:2])
        with self._lock:
            self.requests.append(request)
            fault = next((each for each in self._faults if each.takes(request, message)), None)
        mode = fault.mode if fault else ""
        if mode == "refuse":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if mode in _CANNED:
            client.sendall(_CANNED[mode])
            return
        if fault and mode == "hang":
            fault.lifted.wait(60)
        answer = self._forward(message)
        if fault:
            fault.reached.set()
            if mode == "stall":
                fault.lifted.wait(60)
        if mode == "drop":
            return
        if fault and mode == "omit":
            answer = _with_content(answer, _without(_content(answer), fault.item))
        if fault and mode == "odd":
            answer = _with_content(
                answer, re.sub(fault.item.encode(), b'{"": 0}', _content(answer))
            )
        if mode == "corrupt":
            head, _, content = answer.partition(b"\r\n\r\n")
            answer = head + b"\r\n\r\n" + b"x" * len(content)
        client.sendall(answer[: len(answer) // 2] if mode == "truncate" else answer)

    def _forward(self, message: bytes) -> bytes:
        head, _, body = message.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection")]
        with socket.create_connection(self._upstream, timeout=60) as server:
            server.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
            answer = b""
            while chunk := server.recv(1 << 16):
                answer += chunk
        return answer


def _content(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def _with_content(answer: bytes, content: bytes) -> bytes:
    """The answer with another body."""
    lines = [
        line
        for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
        if not line.lower().startswith(b"content-l")
    ]
    lines.append(b"Content-Length: %d" % len(content))
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def _without(content: bytes, item: str) -> bytes:
    """JSON, without the things of its lists that the expression fits."""
    kept = {
        name: [each for each in value if not re.search(item, json.dumps(each))]
        if isinstance(value, list)
        else value
        for name, value in json.loads(content).items()
    }
    return json.dumps(kept).encode()


def _read_request(client: socket.socket) -> bytes:
    message = b""
    while b"\r\n\r\n" not in message:
        chunk = client.recv(1 << 16)
        if not chunk:
            return b""
        message += chunk
    head, _, body = message.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    missing = (int(length[1]) if length else 0) - len(body)
    while missing > 0:
        chunk = client.recv(1 << 16)
        if not chunk:
            return b""
        message += chunk
        missing -= len(chunk)
    return message
