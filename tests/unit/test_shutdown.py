"""Shutdown: real signals to a real process, on both event loops."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hooklane.runtime.shutdown import shutdown_signals, until_one_ends

SERVICE = """
import asyncio, sys, time
import uvloop
from hooklane.runtime.shutdown import shutdown_signals

async def main():
    with shutdown_signals() as shutdown:
        print("ready", flush=True)
        await shutdown.wait()
        print("asked by", shutdown.by.name, flush=True)
        if sys.argv[2] == "stuck":
            while True:
                time.sleep(0.01)
        if sys.argv[2] == "slow":
            await asyncio.sleep(60)

(asyncio.run if sys.argv[1] == "asyncio" else uvloop.run)(main())
"""


@contextmanager
def service(loop: str, manner: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SERVICE, loop, manner]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        try:
            assert it.stdout is not None
            assert it.stdout.readline() == "ready\n"
            yield it
        finally:
            it.kill()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks(loop: str, asked: signal.Signals) -> None:
    """SIGTERM and SIGINT let the service end by itself, with exit code 0."""
    with service(loop, "quick") as process:
        process.send_signal(asked)
        said, errors = process.communicate(timeout=10)
        assert said == f"asked by {asked.name}\n"
        assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("manner", ["slow", "stuck"])
@pytest.mark.parametrize(("second", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_second_signal_ends_it(
    loop: str, manner: str, second: signal.Signals, code: int
) -> None:
    """A service that takes its time, or whose loop is stuck, ends at once at the second one."""
    with service(loop, manner) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "asked by SIGTERM\n"
        process.send_signal(second)
        _, errors = process.communicate(timeout=10)
        assert process.returncode == code
        assert "Second signal" in errors


def test_sigusr1_says_what_each_thread_does() -> None:
    """A service that does not end can be asked why, and goes on."""
    with service("uvloop", "quick") as process:
        process.send_signal(signal.SIGUSR1)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Current thread")
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10)[0] == "asked by SIGTERM\n"


async def test_the_handlers_are_put_back() -> None:
    """Afterwards the signals mean what they meant before."""
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    with shutdown_signals() as shutdown:
        seen = [shutdown.requested]
        shutdown.request()
        async with asyncio.timeout(1):
            await shutdown.wait()
        seen.append(shutdown.requested)
    assert seen == [False, True]
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before


async def test_the_first_act_to_end_ends_the_others() -> None:
    """The others are cancelled, and have ended before it returns."""
    ended = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cancelled")

    async def ends() -> None:
        await asyncio.sleep(0)

    await until_one_ends(waits(), ends())
    assert ended == ["cancelled"]


async def test_what_an_act_raises_is_raised() -> None:
    """And what it raises while it is cancelled changes nothing."""

    async def fails() -> None:
        raise ValueError("first")

    async def fails_too() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("second")

    with pytest.raises(ValueError, match="first"):
        await until_one_ends(fails_too(), fails())


async def test_cancelling_reaches_every_act() -> None:
    """Nothing goes on behind the back of whoever cancelled it."""
    acts = [asyncio.Event(), asyncio.Event()]

    async def act(event: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            event.set()

    whole = asyncio.create_task(until_one_ends(*map(act, acts)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    assert all(event.is_set() for event in acts)
