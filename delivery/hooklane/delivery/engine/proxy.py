"""An HTTP proxy: what it is asked, what its answers mean, and whom it is asked for."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from hooklane.delivery.auth.credentials import Secrets, basic_header
from hooklane.delivery.engine.faults import shown
from hooklane.delivery.exchange import Done, Fault, FaultKind, Response
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.target import Address, InvalidUrl, Target, read_target
from hooklane.runtime.errors import SettingsError

_LONGEST_HEAD: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Proxy:
    """`target` is the proxy itself, `authorization` the value of `Proxy-Authorization`.

    `judges`: it looks names up and decides whom to connect to. Otherwise our guard does, and the
    proxy is asked for the judged address.
    """

    target: Target
    judges: bool = False
    authorization: str | None = field(default=None, repr=False)

    @property
    def tls(self) -> bool:
        """Whether it is spoken to by TLS itself."""
        return self.target.origin.scheme == "https"

    def tunnels(self, target: Target) -> bool:
        """Whether it is asked for a tunnel; for plain HTTP it is asked for the request itself."""
        return target.origin.scheme == "https"

    def headers(self) -> tuple[tuple[str, str], ...]:
        """What each request to it carries."""
        known = self.authorization
        return () if known is None else (("proxy-authorization", known),)

    def asking_for(self, place: str) -> bytes:
        """The request for a tunnel to `place` (RFC 9110, section 9.3.6)."""
        lines = [f"CONNECT {place} HTTP/1.1", f"host: {place}"]
        lines += [f"{name}: {value}" for name, value in self.headers()]
        return "\r\n".join((*lines, "", "")).encode("latin-1")


class Place(NamedTuple):
    """Whom the proxy is asked for: host and port."""

    name: str

    def shown(self, by: str) -> str:
        """As records show it. `by`: the proxy's dialled address."""
        return f"{self.name} via {by}"


def read_proxy(url: str, secrets: Secrets, *, judges: bool) -> Proxy:
    """The proxy of the settings; its password is kept out of logs from now on.

    Raises:
        SettingsError: no URL that a proxy can have.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    target = read_target(urlunsplit((parts.scheme, host, "/", "", "")))
    if isinstance(target, InvalidUrl):
        raise SettingsError(f"HOOKLANE_DELIVERY__PROXY cannot be used: {target.detail}.")
    if parts.path not in {"", "/"} or parts.query:
        raise SettingsError("HOOKLANE_DELIVERY__PROXY must end after its port: http://host:port.")
    if parts.username is None:
        return Proxy(target, judges)
    password = unquote(parts.password or "").encode()
    authorization = basic_header(unquote(parts.username).encode(), password)
    for secret in (password, authorization.removeprefix("Basic ").encode()):
        secrets.keep_out(secret)
    return Proxy(target, judges, authorization)


async def places(resolver: Resolver, proxy: Proxy, target: Target) -> tuple[Place, ...] | Fault:
    """Whom the proxy may be asked for, in turn; or why for nobody."""
    port = target.origin.port
    if proxy.judges:
        refusal = resolver.refusal(target)
        if refusal is not None:
            return refusal
        named = target.authority.endswith(f":{port}")
        return (Place(target.authority if named else f"{target.authority}:{port}"),)
    found = await resolver.addresses(target)
    if isinstance(found, Fault):
        return found
    return tuple(Place(shown(address, port)) for address in found)


async def own_addresses(resolver: Resolver, proxy: Proxy) -> tuple[Address, ...] | Fault:
    """Where the proxy itself is dialled: the settings' own word, so the guard is not asked."""
    if proxy.target.literal is not None:
        return (proxy.target.literal,)
    found = await resolver.unjudged(proxy.target.name)
    if isinstance(found, Fault):
        return proxy_failed(found.detail, None)
    return tuple(map(ip_address, found)) or proxy_failed("its name has no address", None)


def proxy_failed(detail: str, address: str | None) -> Fault:
    return Fault(FaultKind.PROXY, f"the proxy failed: {detail}", address)


def has_ended(head: bytes | bytearray) -> bool:
    """Whether an answer to CONNECT is there, or more than one can be."""
    return b"\r\n\r\n" in head or len(head) > _LONGEST_HEAD


def head_fault(head: bytes | bytearray, address: str) -> Fault | None:
    """What an answer to CONNECT means that has ended; None: the tunnel is there."""
    if b"\r\n\r\n" not in head:
        return proxy_failed("its answer has no end", address)
    if head.index(b"\r\n\r\n") + 4 != len(head):
        # The receiver does not speak first: who says more is neither of them.
        return proxy_failed("it sent more than its answer", address)
    line = bytes(head).split(b"\r\n", 1)[0].split(b" ", 2)
    if len(line) < 2 or not line[0].startswith(b"HTTP/1.") or not _is_status(line[1]):
        return proxy_failed("its answer is not HTTP/1.1", address)
    status = int(line[1])
    if 200 <= status < 300:
        return None
    return _refused(status, address)


def through(done: Done) -> Done:
    """`done`, told that a 407 is the proxy's word and not the receiver's."""

    def told(result: Response | Fault) -> None:
        if isinstance(result, Response) and result.status == 407:
            result = _refused(407, result.address)
        done(result)

    return told


def _refused(status: int, address: str) -> Fault:
    if status == 407:
        detail = "it answered 407: see to the name and password in HOOKLANE_DELIVERY__PROXY"
        return proxy_failed(detail, address)
    return proxy_failed(f"it answered {status} when it was asked for a connection", address)


def _is_status(text: bytes) -> bool:
    return len(text) == 3 and text.isdigit()
