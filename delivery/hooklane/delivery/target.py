"""Where a URL leads: the one parser for guard, `Host` header, SNI, pool and connection alike.

What two parsers read differently is how a guard is walked around, so a URL is read once, here,
and everything after works with the `Target`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, NamedTuple

import idna

Address = IPv4Address | IPv6Address

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<authority>[^/?#]*)"
    r"(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?",
    re.DOTALL,
)
# Not one of these has a meaning in a URL, and parsers disagree about each of them.
_FORBIDDEN = re.compile(
    r"[\x00-\x20\x7f-\xa0\\\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000]"
)
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[0-9]*))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_UNSAFE = re.compile(r"[^!#-;=?-\[\]_a-z~]")
"""What a request target must not hold as it is; it is percent-encoded. `%` stays."""


class Origin(NamedTuple):
    """Whom a connection belongs to."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, read.

    `origin.host` is canonical: an ASCII name in lower case without a trailing dot, or an IP
    address as `ipaddress` prints it; `literal` is that address. `name` is what is looked up (a
    trailing dot is kept: it says that no search domain is to be tried). `path` holds path and
    query as they go on the request line, `authority` is the `Host` header.
    """

    origin: Origin
    literal: Address | None
    name: str
    path: str
    authority: str


@dataclass(frozen=True, slots=True)
class InvalidUrl:
    """A URL that leads nowhere, and why, in one sentence."""

    detail: str


@lru_cache(maxsize=4096)
def read_target(url: str) -> Target | InvalidUrl:
    """Read an absolute URL (RFC 3986; names by UTS 46; IPv4 in any of inet_aton's spellings)."""
    try:
        return _read(url)
    except _InvalidUrlError as error:
        return InvalidUrl(str(error))


class _InvalidUrlError(ValueError):
    pass


def _read(url: str) -> Target:
    if _FORBIDDEN.search(url):
        raise _InvalidUrlError("the URL holds a space, a control character or a backslash")
    found = _URL.fullmatch(url)
    if found is None:
        raise _InvalidUrlError("the URL is not of the form https://host/path")
    scheme = found["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise _InvalidUrlError(f"the URL's scheme is {scheme!r}; only https and http can be used")
    if "@" in found["authority"]:
        raise _InvalidUrlError("the URL holds a user name or password; use `auth` instead")
    authority = _AUTHORITY.fullmatch(found["authority"])
    if authority is None:
        raise _InvalidUrlError("the URL's host or port cannot be read")
    literal, name = _host(authority["v6"], authority["name"])
    host = str(literal) if literal is not None else name.removesuffix(".")
    port = _port(authority["port"], _DEFAULT_PORTS[scheme])
    shown = f"[{host}]" if isinstance(literal, IPv6Address) else host
    return Target(
        origin=Origin(scheme, host, port),
        literal=literal,
        name=name,
        path=_request_target(found["path"], found["query"]),
        authority=shown if port == _DEFAULT_PORTS[scheme] else f"{shown}:{port}",
    )


def _port(text: str | None, default: int) -> int:
    if not text:
        return default
    port = int(text) if len(text) <= 5 else 0
    if not 0 < port < 65536:
        raise _InvalidUrlError("the URL's port is not between 1 and 65535")
    return port


def _host(v6: str | None, name: str | None) -> tuple[Address | None, str]:
    if v6 is not None:
        if "%" in v6:
            raise _InvalidUrlError("the URL's IPv6 address names a network interface")
        try:
            return IPv6Address(v6), ""
        except AddressValueError as error:
            raise _InvalidUrlError("the URL's IPv6 address cannot be read") from error
    ascii_name = _ascii(name or "")
    last = ascii_name.removesuffix(".").rpartition(".")[2]
    if _NUMBER.fullmatch(last):
        return _ipv4(ascii_name.removesuffix(".")), ""
    labels = ascii_name.removesuffix(".").split(".")
    if len(ascii_name) > 254 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _InvalidUrlError("the URL's host is not a name that can be looked up")
    return None, ascii_name


def _ascii(name: str) -> str:
    if name.isascii():
        return name.lower()
    try:
        return idna.encode(name, uts46=True, transitional=False).decode().lower()
    except (idna.IDNAError, UnicodeError) as first:
        # Digits in circles or full width are no name by IDNA 2008, but getaddrinfo reads them.
        try:
            mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
        except (idna.IDNAError, UnicodeError) as error:
            raise _InvalidUrlError("the URL's host is not a name by IDNA") from error
        if not mapped.isascii():
            raise _InvalidUrlError("the URL's host is not a name by IDNA") from first
        return mapped.lower()


def _ipv4(text: str) -> IPv4Address:
    """Read inet_aton's spellings: one to four numbers, decimal, octal or hexadecimal."""
    parts = text.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        raise _InvalidUrlError("the URL's host ends in a number but is no IPv4 address")
    *front, last = map(_number, parts)
    if any(part > 255 for part in front) or last >= 256 ** (4 - len(front)):
        raise _InvalidUrlError("the URL's IPv4 address is out of range")
    value = last
    for place, part in enumerate(front):
        value += part << (24 - 8 * place)
    return IPv4Address(value)


def _number(text: str) -> int:
    if len(text) > 40:
        raise _InvalidUrlError("the URL's IPv4 address is out of range")
    try:
        if text.startswith("0x"):
            return int(text[2:] or "0", 16)
        return int(text, 8 if text.startswith("0") else 10)
    except ValueError as error:
        raise _InvalidUrlError("the URL's IPv4 address has a digit that is not octal") from error


def _request_target(path: str, query: str | None) -> str:
    whole = (path or "/") + (query or "")
    return _UNSAFE.sub(lambda found: _percent(found[0]), whole)


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))
