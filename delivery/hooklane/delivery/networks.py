"""Which addresses are public: the IANA special-purpose registries, and what hides an IPv4 address.

Python's `is_global` is not enough: it is true for NAT64, IPv4-compatible, IPv4-translated,
site-local, SRv6, documentation (3fff::/20), 6to4 relay and multicast addresses.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from hooklane.delivery.target import Address

Network = IPv4Network | IPv6Network

# IANA IPv4 Special-Purpose Address Registry, with multicast, and what clouds put on public ones.
_IPV4: Final = tuple(
    (IPv4Network(network), what)
    for network, what in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignment"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)

# IANA IPv6 Special-Purpose Address Registry. What is not named is judged by `_GLOBAL_UNICAST`.
_IPV6: Final = tuple(
    (IPv6Network(network), what)
    for network, what in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("100::/64", "discard"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "protocol assignment"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
_6TO4: Final = IPv6Network("2002::/16")
_TEREDO: Final = IPv6Network("2001::/32")
_LAST_32: Final = tuple(
    map(IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)


def dialled(address: Address) -> Address:
    """The address that a connection to `address` really goes to: an IPv4-mapped one is IPv4."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def embedded(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address carries and that a gateway may send it on to."""
    return tuple(_embedded(address)) if isinstance(address, IPv6Address) else ()


def _embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    value = int(address)
    low = value & 0xFFFFFFFF
    if any(address in network for network in _LAST_32):
        yield IPv4Address(low)
    elif address in _NAT64_LOCAL:
        # RFC 6052: where the IPv4 address sits depends on the prefix length chosen at the site.
        yield IPv4Address(low)
        yield IPv4Address((value >> 64 & 0xFFFF) << 16 | value >> 40 & 0xFFFF)
        yield IPv4Address((value >> 64 & 0xFF) << 24 | value >> 32 & 0xFFFFFF)
        yield IPv4Address(value >> 24 & 0xFFFFFFFF)
    elif address in _6TO4:
        yield IPv4Address(value >> 80 & 0xFFFFFFFF)
    elif address in _TEREDO:
        yield IPv4Address(value >> 64 & 0xFFFFFFFF)
        yield IPv4Address(low ^ 0xFFFFFFFF)


def not_public(address: Address) -> str | None:
    """Why an address is not one of the public internet (`private`, `loopback`), or None."""
    if isinstance(address, IPv4Address):
        return next((what for network, what in _IPV4 if address in network), None)
    if address.ipv4_mapped is not None:
        return not_public(address.ipv4_mapped)
    if address in _NAT64:
        inside = IPv4Address(int(address) & 0xFFFFFFFF)
        what = not_public(inside)
        return None if what is None else f"NAT64 of {inside}, {what}"
    for network, what in _IPV6:
        if address in network:
            return what
    return None if address in _GLOBAL_UNICAST else "not global unicast"
