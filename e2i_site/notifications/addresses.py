"""Which addresses outgoing webhooks may reach. Pure, so that it can be tested for every address."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Public by number, and yet the inside of a cloud: Azure's host channel.
_METADATA = (ipaddress.ip_network("168.63.129.16/32"),)
# IPv6 addresses that carry an IPv4 address: NAT64 and the deprecated IPv4-compatible form.
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.ip_network("::/96")


def embedded(address: Address) -> list[Address]:
    """The address and every IPv4 address that it leads to: mapped, 6to4, Teredo, NAT64."""
    found: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        found += [part for part in (address.ipv4_mapped, address.sixtofour) if part is not None]
        found += address.teredo or ()
        if any(address in network for network in (*_NAT64, _COMPATIBLE)):
            found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return found


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether a setting names a network with this very address in it."""
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in allowed if network.version == mapped.version)


def refusal(address: Address, allowed: Sequence[Network] = ()) -> str:
    """Why a webhook must not reach `address`; empty when it may.

    Refused are private, loopback, link-local, multicast, reserved and metadata addresses, also
    inside IPv6 forms, unless they are in an `allowed` network.
    """
    if is_allowed(address, allowed):
        return ""
    for each in embedded(address):
        if not _is_public(each):
            return f"{address} is not a public address."
    return ""


def _is_public(address: Address) -> bool:
    if any(address in network for network in _METADATA):
        return False
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or getattr(address, "is_site_local", False)
    )
