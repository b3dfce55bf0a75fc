"""The address guard: which addresses are public, whatever form they come in."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.delivery.exchange import Fault, FaultKind
from hooklane.delivery.guard import Guard, Policy
from hooklane.delivery.networks import not_public
from hooklane.delivery.target import InvalidUrl, read_target

STRICT = Guard(Policy(allow_http=True))
CORPUS = [
    line.split("  ")[0].strip()
    for line in (Path(__file__).parent / "test_guard_corpus.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def verdict(url: str, guard: Guard = STRICT) -> str:
    """`public`, `name` (to be looked up), or the kind of fault, for a URL's host."""
    target = read_target(url)
    if isinstance(target, InvalidUrl):
        return FaultKind.INVALID_URL
    refused = guard.target(target)
    if refused is not None:
        return refused.kind
    if target.literal is None:
        return "name"
    found = guard.choose((str(target.literal),))
    return found.kind if isinstance(found, Fault) else "public"


@pytest.mark.parametrize("host", CORPUS)
def test_corpus_is_refused(host: str) -> None:
    """No host of the corpus gets past the guard, with either scheme and with a port."""
    for url in (f"https://{host}/", f"http://{host}/x", f"https://{host}:8443/?a=b"):
        assert verdict(url) in {FaultKind.BLOCKED_ADDRESS, FaultKind.INVALID_URL}


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8",
        "100.63.255.254",
        "100.128.0.1",
        "1.0.0.1",
        "9.255.255.255",
        "11.0.0.1",
        "126.255.255.255",
        "128.0.0.1",
        "168.63.129.15",
        "172.15.255.255",
        "172.32.0.1",
        "191.255.255.255",
        "192.0.1.1",
        "192.167.255.255",
        "192.169.0.1",
        "198.17.255.255",
        "198.20.0.1",
        "223.255.255.255",
        "0x08080808",
        "[2606:4700:4700::1111]",
        "[2001:4860:4860::8888]",
        "[::ffff:8.8.8.8]",
        "[64:ff9b::808:808]",
    ],
)
def test_public_addresses_pass(host: str) -> None:
    """What borders on a special network is still public; so is NAT64 of a public address."""
    assert verdict(f"https://{host}/") == "public"


def test_mapped_address_is_dialled_as_ipv4() -> None:
    """An IPv4-mapped address is judged and dialled as the IPv4 address that it is."""
    assert STRICT.choose(("::ffff:8.8.8.8", "8.8.8.8")) == (IPv4Address("8.8.8.8"),)


def test_mixed_answer_keeps_the_public_ones_in_order() -> None:
    """Of a mixed answer only public addresses stay, in the resolver's order."""
    answer = ("10.0.0.1", "8.8.8.8", "::1", "2606:4700::1", "169.254.169.254", "8.8.4.4")
    found = STRICT.choose(answer)
    assert not isinstance(found, Fault)
    assert list(map(str, found)) == ["8.8.8.8", "2606:4700::1", "8.8.4.4"]


def test_zone_of_a_resolved_address_does_not_help() -> None:
    """A link-local address with an interface, as getaddrinfo gives it, is refused."""
    for zoned in ("fe80::1%eth0", "::1%1", "fd00::1%2"):
        found = STRICT.choose((zoned,))
        assert isinstance(found, Fault)
        assert found.kind is FaultKind.BLOCKED_ADDRESS


def test_empty_answer_is_a_dns_fault() -> None:
    """A name without addresses is not blocked, it is a DNS fault: retried."""
    found = STRICT.choose(())
    assert isinstance(found, Fault)
    assert found.kind is FaultKind.DNS


ALLOWED = Policy(allow=(ip_network("10.0.0.0/8"),), deny=(ip_network("10.9.0.0/16"),))


@pytest.mark.parametrize(
    ("address", "passes"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("64:ff9b::10.1.2.3", True),
        ("10.9.0.1", False),
        ("::ffff:10.9.0.1", False),
        ("64:ff9b::10.9.0.1", False),
        ("64:ff9b:1:a09:0:100::", False),
        ("2002:a09:1::1", False),
        ("11.0.0.1", True),
        ("192.168.0.1", False),
        ("::1", False),
        ("169.254.169.254", False),
    ],
)
def test_allow_and_deny(address: str, *, passes: bool) -> None:
    """Allowed networks open what is private, denied ones close it again, in every form."""
    assert isinstance(Guard(ALLOWED).choose((address,)), tuple) is passes


def test_deny_closes_public_addresses() -> None:
    """A denied network is refused although it is public."""
    guard = Guard(Policy(deny=(ip_network("8.8.8.0/24"),)))
    assert isinstance(guard.choose(("8.8.8.8",)), Fault)
    assert isinstance(guard.choose(("8.8.4.4",)), tuple)


@pytest.mark.parametrize("port", [22, 25, 6379, 9092])
def test_denied_ports(port: int) -> None:
    """Ports of the deny list are refused, also where the network is allowed."""
    open_guard = Guard(Policy(allow=(ip_network("0.0.0.0/0"),)))
    assert verdict(f"https://8.8.8.8:{port}/", open_guard) == FaultKind.BLOCKED_ADDRESS
    assert verdict(f"https://hooks.example:{port}/", open_guard) == FaultKind.BLOCKED_ADDRESS


def test_own_ports_are_passed_in() -> None:
    """A port that the service names is refused, another one is not."""
    guard = Guard(Policy(denied_ports=frozenset({8080})))
    assert verdict("https://8.8.8.8:8080/", guard) == FaultKind.BLOCKED_ADDRESS
    assert verdict("https://8.8.8.8:8081/", guard) == "public"


def test_http_needs_the_setting() -> None:
    """`http://` is refused as an invalid URL unless the service allows it."""
    assert verdict("http://8.8.8.8/", Guard(Policy())) == FaultKind.INVALID_URL
    assert verdict("http://8.8.8.8/") == "public"


FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)} | {ord("."): 0x3002}
SPECIAL = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
    192.0.0.0/24 192.168.0.0/16 198.18.0.0/15 224.0.0.0/4 240.0.0.0/4
"""
PRIVATE = st.sampled_from(SPECIAL.split()).flatmap(lambda network: st.ip_addresses(network=network))


@given(PRIVATE)
def test_no_spelling_of_a_private_address_passes(address: IPv4Address) -> None:
    """Dotted, decimal, hexadecimal, octal, short and IPv6 spellings are all refused."""
    value = int(address)
    first, rest = value >> 24, value & 0xFFFFFF
    hosts = [
        str(address),
        f"{address}.",
        str(value),
        hex(value),
        f"0{value:o}",
        f"{first}.{rest}",
        f"0x{first:x}.0{rest:o}",
        f"{first}.{rest >> 16}.{rest & 0xFFFF}",
        f"[::ffff:{address}]",
        f"[::{address}]",
        f"[64:ff9b::{address}]",
        f"[2002:{value >> 16:x}:{value & 0xFFFF:x}::1]",
        str(address).translate(FULL_WIDTH),
    ]
    for host in hosts:
        assert verdict(f"https://{host}/") in {FaultKind.BLOCKED_ADDRESS, FaultKind.INVALID_URL}


@given(st.ip_addresses(v=4))
def test_public_ipv4_is_never_more_than_pythons(address: IPv4Address) -> None:
    """What passes here passes Python's own judgement too: the table is only stricter."""
    if not_public(address) is None:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_public_ipv6_is_global_unicast_or_nat64(address: IPv6Address) -> None:
    """An IPv6 address that passes is global unicast, NAT64 or mapped, and Python agrees."""
    if not_public(address) is None:
        assert address.is_global or address.ipv4_mapped is not None
        networks = ("2000::/3", "64:ff9b::/96", "::ffff:0:0/96")
        assert any(address in ip_network(network) for network in networks)


@given(st.ip_addresses())
def test_judgement_does_not_depend_on_being_asked_before(
    address: IPv4Address | IPv6Address,
) -> None:
    """A remembered verdict is the verdict."""
    fresh = Guard(Policy()).choose((str(address),))
    assert STRICT.choose((str(address),)) == fresh == STRICT.choose((str(address),))
    assert ip_address(str(address)) == address
