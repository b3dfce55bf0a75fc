"""How long a transaction may take before its client is left behind, and what comes then."""

import asyncio
import gc
import threading

import pytest

from hooklane.runtime.transactions import (
    CommitResult,
    StuckError,
    TransactionThread,
    TransactionWriter,
)
from tests.support.fanout_facts import settled_loop

LONGEST_S = 0.8


class Slow:
    """A writer of `turns` steps; each comes back within the time for one, all together do not."""

    def __init__(self, turns: int) -> None:
        self.steps, self.longest_s = 0, LONGEST_S
        self.left_behind = 0
        self._turns = turns
        self.comes_back = threading.Event()

    def leave_behind(self) -> None:
        self.left_behind += 1

    def open(self) -> None:
        for _ in range(self._turns):
            self.steps += 1
            self.comes_back.wait(LONGEST_S / 8)


class Hanging:
    """So many of its calls do not end by themselves, and fail in the end; then one is well."""

    def __init__(self, times: int) -> None:
        self.steps, self.longest_s = 0, 0.2
        self.left_behind = 0
        self.comes_back = threading.Event()
        self.hangs = iter(range(times))

    def leave_behind(self) -> None:
        self.left_behind += 1

    def open(self) -> None:
        self.steps += 1
        if next(self.hangs, None) is not None:
            self.comes_back.wait(30)
            raise RuntimeError("too late")

    def write(self) -> CommitResult:
        self.open()
        return CommitResult.COMMITTED


async def test_steps_that_end_may_take_long_together() -> None:
    """A long outage of the brokers: each step ends by its deadline, and the next one begins."""
    writer = Slow(20)
    thread = TransactionThread(writer)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await thread.open()
    assert loop.time() - begun > 2 * LONGEST_S
    assert writer.left_behind == 0


async def test_a_transaction_that_does_not_end_is_left_behind() -> None:
    """Nobody knows how it ends; what is asked for next is done, by another producer and beside it;
    and what it comes back with after all is nobody's complaint."""
    complaints = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
    writer = Hanging(1)
    thread = TransactionThread(writer)
    assert await thread.write(writer.write) is CommitResult.UNKNOWN
    assert writer.left_behind == 1
    await thread.reopen()
    assert await thread.write(writer.write) is CommitResult.COMMITTED
    writer.comes_back.set()
    await asyncio.to_thread(thread.close)
    await settled_loop()
    gc.collect()
    assert complaints == []


async def test_one_that_hangs_is_not_opened_anew_for_ever() -> None:
    """Each time leaves a thread behind: after five in a row only a new process goes on."""
    writer = Hanging(9)
    thread = TransactionThread(writer)
    assert await thread.write(writer.write) is CommitResult.UNKNOWN
    with pytest.raises(StuckError, match="this service ends, to be started again"):
        await thread.reopen()
    assert writer.left_behind == 5
    writer.comes_back.set()


async def test_only_those_in_a_row_count() -> None:
    """One that came back makes good for those before it."""
    writer = Hanging(4)
    thread = TransactionThread(writer)
    for _ in range(2):
        writer.hangs = iter(range(4))
        assert await thread.write(writer.write) is CommitResult.UNKNOWN
        await thread.reopen()
    assert writer.left_behind == 8
    writer.comes_back.set()


@pytest.mark.parametrize(("timeout_s", "longest_s"), [(1.0, 7.0), (20.0, 45.0), (1200.0, 2405.0)])
def test_a_call_has_twice_its_deadline(timeout_s: float, longest_s: float) -> None:
    """And five seconds: with the chart's session timeout of 30 s a deadline is 20 s, with the
    longest, half an hour, 20 minutes."""

    def unused() -> None:
        raise AssertionError

    writer = TransactionWriter(unused, timeout_s)  # type: ignore[arg-type]
    assert writer.longest_s == longest_s
