"""The one door outside: where it does not lead, and how long it stays open."""

from __future__ import annotations

import ipaddress
import socket
import time
from typing import Any

import pytest

from e2i_site.core.errors import InvalidInput
from e2i_site.notifications import outgoing
from e2i_site.notifications.outgoing import AddressRefused, NotDelivered, parse, post, resolve
from tests.notifications.receivers import http_receiver

HERE = [ipaddress.ip_network("127.0.0.1/32")]


def answering(*addresses: str) -> Any:
    """A resolver that gives these, one set a call."""
    given = iter(addresses)

    def resolve(host: str, port: Any, **kwargs: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))
            for address in next(given).split()
        ]

    return resolve


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/", "http://localhost:9/", "https://[::1]/", "http://0x7f000001/",
        "http://2130706433/", "http://0177.0.0.1/", "http://169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/", "http://0/",
    ],
)  # fmt: skip
def test_the_inside_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(AddressRefused, match="E2I_WEBHOOK_ALLOW"):
        resolve(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "ftp://example.org/", "file:///etc/passwd", "https://", "https://user:pw@example.org/",
        "https://example.org/#x", "https://example.org:99999/", "https://exa mple.org/",
        "https://example.org/\r\nHost: x", "https://exämple.org/", "//example.org", "https://[::1",
    ],
)  # fmt: skip
def test_what_is_no_address_for_a_webhook(url: str) -> None:
    with pytest.raises(InvalidInput):
        parse(url)


def test_one_inside_address_among_many_is_enough(monkeypatch: Any) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering("93.184.215.14 10.0.0.5"))
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.5"):
        resolve("https://hooks.example/")


def test_the_name_is_resolved_once_and_that_address_is_used(monkeypatch: Any) -> None:
    """A name that answers with another address the second time: the connection never asks."""
    monkeypatch.setattr(socket, "getaddrinfo", answering("127.0.0.1"))
    with http_receiver() as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        reply = post(f"http://hooks.example:{port}/hook", b"{}", {}, allowed=HERE)
    assert reply.status == 204
    assert receiver.calls[0].headers["Host"] == f"hooks.example:{port}"


def test_plain_http_stays_inside_allowed_networks(monkeypatch: Any) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering("93.184.215.14"))
    with pytest.raises(AddressRefused, match="use https"):
        resolve("http://hooks.example/", HERE)


def test_a_name_that_does_not_exist_may_exist_later() -> None:
    with pytest.raises(NotDelivered, match="cannot be resolved"):
        resolve("https://no-such-host.invalid/")


def test_an_answer_that_drips_is_cut_off(monkeypatch: Any) -> None:
    monkeypatch.setattr(outgoing, "TOTAL_SECONDS", 0.4)
    with http_receiver() as receiver:
        receiver.drip = 0.05
        began = time.monotonic()
        with pytest.raises(NotDelivered, match="did not answer"):
            post(receiver.url, b"{}", {}, allowed=HERE)
        assert time.monotonic() - began < 2


def test_a_silent_server_is_given_up(monkeypatch: Any) -> None:
    monkeypatch.setattr(outgoing, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(NotDelivered):
            post(url, b"{}", {}, allowed=HERE)


def test_a_server_without_tls_is_no_https_server(receiver_url: str) -> None:
    with pytest.raises(NotDelivered):
        post(receiver_url.replace("http://", "https://"), b"{}", {}, allowed=HERE)


def test_a_message_is_bounded() -> None:
    with pytest.raises(InvalidInput, match="more than"):
        post("https://hooks.example/", b"x" * (outgoing.SEND_BYTES + 1), {})


@pytest.fixture
def receiver_url() -> Any:
    with http_receiver() as made:
        yield made.url


def test_headers_cannot_be_injected(receiver_url: str) -> None:
    with pytest.raises(NotDelivered):
        post(receiver_url, b"{}", {"X-E2I-Event": "a\r\nX-Other: b"}, allowed=HERE)
