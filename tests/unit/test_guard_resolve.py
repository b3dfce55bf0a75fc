"""Looking up: one question at a time, a short memory, and every answer judged."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address

import pytest

from hooklane.delivery.exchange import Fault, FaultKind
from hooklane.delivery.guard import Guard, Policy
from hooklane.delivery.lookup import SystemLookup
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.target import Target, read_target

GOOD = (IPv4Address("8.8.8.8"),)


def target(url: str = "https://hooks.example/") -> Target:
    found = read_target(url)
    assert isinstance(found, Target)
    return found


class Names:
    """A name server that counts questions and answers what it is told."""

    def __init__(self, *answers: Sequence[str] | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked += 1
        await self.open.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_many_ask_once() -> None:
    """Questions for one name at the same time are one question, and the answer is kept."""
    names = Names(["8.8.8.8"])
    resolver = Resolver(Guard(Policy()), names)
    found = await asyncio.gather(*(resolver.addresses(target()) for _ in range(50)))
    assert set(found) == {GOOD}
    assert await resolver.addresses(target()) == GOOD
    assert names.asked == 1


async def test_answers_are_forgotten() -> None:
    """An answer holds for `keep_s` only; the next one is judged anew (DNS rebinding)."""
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    resolver = Resolver(Guard(Policy()), names, keep_s=0.0)
    assert await resolver.addresses(target()) == GOOD
    second = await resolver.addresses(target())
    assert isinstance(second, Fault)
    assert second.kind is FaultKind.BLOCKED_ADDRESS


async def test_failures_are_kept_for_a_short_time() -> None:
    """A name that cannot be looked up is a DNS fault, asked for again only after a while."""
    names = Names(socket.gaierror(socket.EAI_NONAME, "Name or service not known"), ["8.8.8.8"])
    resolver = Resolver(Guard(Policy()), names, keep_failure_s=0.05)
    for _ in range(2):
        found = await resolver.addresses(target())
        assert isinstance(found, Fault)
        assert (found.kind, names.asked) == (FaultKind.DNS, 1)
    await asyncio.sleep(0.06)
    assert await resolver.addresses(target()) == GOOD


async def test_one_who_gives_up_does_not_stop_the_question() -> None:
    """A cancelled caller leaves the question running for those who still wait."""
    names = Names(["8.8.8.8"])
    names.open.clear()
    resolver = Resolver(Guard(Policy()), names)
    first = asyncio.create_task(resolver.addresses(target()))
    second = asyncio.create_task(resolver.addresses(target()))
    await asyncio.sleep(0)
    first.cancel()
    names.open.set()
    assert await second == GOOD
    assert names.asked == 1


async def test_literals_are_not_looked_up() -> None:
    """An address in the URL is judged as it is; nobody is asked."""
    names = Names()
    resolver = Resolver(Guard(Policy()), names)
    assert await resolver.addresses(target("https://8.8.8.8/")) == GOOD
    refused = await resolver.addresses(target("https://127.1/"))
    assert isinstance(refused, Fault)
    assert names.asked == 0


async def test_denied_port_is_not_looked_up() -> None:
    """What is refused by its port costs no question."""
    names = Names()
    found = await Resolver(Guard(Policy()), names).addresses(target("https://hooks.example:22/"))
    assert isinstance(found, Fault)
    assert (found.kind, names.asked) == (FaultKind.BLOCKED_ADDRESS, 0)


async def test_system_lookup_of_nothing() -> None:
    """A name that the system cannot look up, or cannot even ask for, is a DNS fault."""
    resolver = Resolver(Guard(Policy()), SystemLookup())
    for name in ("hooks.invalid.", "a" * 63 + "." + "b" * 63 + ".invalid."):
        found = await resolver.addresses(target(f"https://{name}/"))
        assert isinstance(found, Fault)
        assert found.kind is FaultKind.DNS


async def test_closing_stops_the_questions() -> None:
    """What is still asked when the resolver is closed is not waited for."""
    names = Names()
    names.open.clear()
    resolver = Resolver(Guard(Policy()), names)
    waiting = asyncio.create_task(resolver.addresses(target()))
    await asyncio.sleep(0)
    resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_hanging_lookup_does_not_hold_up_the_end() -> None:
    """A process whose name server hangs ends at once: its lookup threads are not waited for."""
    program = """
import asyncio, socket, threading
from hooklane.delivery.lookup import SystemLookup
asked = threading.Event()
def hang(*args, **more):
    asked.set()
    threading.Event().wait()
socket.getaddrinfo = hang
async def main():
    task = asyncio.create_task(SystemLookup()("hooks.example"))
    while not asked.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


async def test_system_lookup() -> None:
    """The system's resolver gives each numeric address once; localhost is refused."""
    lookup = SystemLookup()
    found = await lookup("localhost")
    assert len(set(found)) == len(found) > 0
    refused = await Resolver(Guard(Policy()), lookup).addresses(target("https://localhost/"))
    assert isinstance(refused, Fault)
    assert refused.kind is FaultKind.BLOCKED_ADDRESS
    lookup.close()
