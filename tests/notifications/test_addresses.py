"""No address of the inside gets through the filter, in whatever form it is written."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2i_site.notifications.addresses import refusal

INSIDE = [
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/29", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4",
        "240.0.0.0/4", "168.63.129.16/32",
    )
]  # fmt: skip
INSIDE_6 = [
    ipaddress.IPv6Network(text)
    for text in ("::1/128", "::/128", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8")
]
MIXED = {
    "mapped": lambda number: (0xFFFF << 32) | number,
    "compatible": lambda number: number,
    "nat64": lambda number: (0x64FF9B << 96) | number,
    "6to4": lambda number: (0x2002 << 112) | (number << 80) | 1,
    "teredo": lambda number: (0x20010000 << 96) | (number ^ 0xFFFFFFFF),
}


def within(networks: list[ipaddress.IPv4Network]) -> st.SearchStrategy[IPv4Address]:
    return st.sampled_from(networks).flatmap(
        lambda network: st.integers(
            int(network.network_address), int(network.broadcast_address)
        ).map(IPv4Address)
    )


@given(within(INSIDE))
def test_inside_addresses_are_refused(address: IPv4Address) -> None:
    assert refusal(address)


@given(within(INSIDE), st.sampled_from(sorted(MIXED)))
def test_so_they_are_inside_ipv6(address: IPv4Address, form: str) -> None:
    assert refusal(IPv6Address(MIXED[form](int(address)))), form


@given(
    st.sampled_from(INSIDE_6).flatmap(
        lambda network: st.integers(
            int(network.network_address), int(network.broadcast_address)
        ).map(IPv6Address)
    )
)
def test_inside_ipv6_is_refused(address: IPv6Address) -> None:
    assert refusal(address)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_what_is_public_passes(address: IPv4Address) -> None:
    """Judged by the registry in Python's library, apart from the cloud's own address."""
    public = address.is_global and not address.is_multicast and str(address) != "168.63.129.16"
    assert (refusal(address) == "") == public


@given(within(INSIDE), st.integers(0, 32))
def test_the_setting_allows_exactly_its_networks(address: IPv4Address, bits: int) -> None:
    network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
    assert refusal(address, [network]) == ""
    assert refusal(IPv6Address((0xFFFF << 32) | int(address)), [network]) == ""
    other = ipaddress.ip_network("203.0.113.7/32")
    assert refusal(address, [other])


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111"])
def test_well_known_public_addresses_pass(text: str) -> None:
    assert refusal(ipaddress.ip_address(text)) == ""
