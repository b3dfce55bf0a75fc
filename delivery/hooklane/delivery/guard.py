"""Whether an address may be dialled. Pure: it looks nothing up and dials nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from hooklane.delivery.exchange import Fault, FaultKind
from hooklane.delivery.networks import Network, dialled, embedded, not_public
from hooklane.delivery.target import Address, Target

NOT_FOR_WEBHOOKS: Final = frozenset(
    {0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95}
    | {101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 138, 139, 143, 161}
    | {179, 389, 427, 445, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563}
    | {587, 601, 636, 873, 989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375}
    | {2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5672, 5900, 6000, 6379}
    | {6566, 6665, 6666, 6667, 6668, 6669, 6697, 9042, 9092, 9093, 9094, 10080, 10250, 11211}
    | {27017}
)
"""Ports of mail, shells, databases, brokers and cluster control, where no webhook is received."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator allows. `deny` goes before `allow`; neither opens a denied port.

    `allow`: networks that may be reached although they are not public. `denied_ports`: add the
    service's own ports and Kafka's to `NOT_FOR_WEBHOOKS`.
    """

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    denied_ports: frozenset[int] = NOT_FOR_WEBHOOKS
    allow_http: bool = False


class Guard:
    """Judges targets before they are looked up, and every address before it is dialled."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        # The same few addresses come again and again; the tables are walked once for each.
        self._refusal = lru_cache(maxsize=4096)(self._judge)

    def target(self, target: Target) -> Fault | None:
        """Why a target may not be tried at all, by its scheme and port, or None."""
        scheme, _, port = target.origin
        if scheme == "http" and not self._policy.allow_http:
            return Fault(FaultKind.INVALID_URL, "the URL is http://, which this service refuses")
        if port in self._policy.denied_ports:
            return Fault(FaultKind.BLOCKED_ADDRESS, f"port {port} is on the list of denied ports")
        return None

    def choose(self, found: Iterable[str]) -> tuple[Address, ...] | Fault:
        """The addresses of one answer that may be dialled, in their order.

        `found` are numeric addresses as the resolver gave them. An answer that holds blocked and
        public ones is cut down to the public ones; only blocked ones are a fault.
        """
        allowed: list[Address] = []
        refused: list[str] = []
        for text in found:
            address = dialled(ip_address(text))
            refusal = self._refusal(address)
            if refusal is not None:
                refused.append(refusal)
            elif address not in allowed:
                allowed.append(address)
        if allowed:
            return tuple(allowed)
        if refused:
            return Fault(FaultKind.BLOCKED_ADDRESS, refused[0])
        return Fault(FaultKind.DNS, "the name has no address")

    def _judge(self, address: Address) -> str | None:
        inside = embedded(address)
        if any(_within(one, self._policy.deny) for one in (address, *inside)):
            return f"{address} is in a network that is denied by the settings"
        if _within(address, self._policy.allow):
            return None
        if inside and all(_within(one, self._policy.allow) for one in inside):
            return None
        what = not_public(address)
        return None if what is None else f"{address} is not a public address ({what})"


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
