"""How long a transaction may take before its client is given up."""

import asyncio
import gc
import threading

import pytest

from hooklane.runtime.transactions import StuckError, TransactionThread, TransactionWriter
from tests.support.fanout_facts import settled_loop

LONGEST_S = 0.8


class Slow:
    """A writer of `turns` steps; each comes back within the time for one, all together do not."""

    def __init__(self, turns: int) -> None:
        self.steps, self.longest_s = 0, LONGEST_S
        self._turns = turns
        self.comes_back = threading.Event()

    def open(self) -> None:
        for _ in range(self._turns):
            self.steps += 1
            self.comes_back.wait(LONGEST_S / 8)


class Hanging(Slow):
    """Its second step does not end by itself, and fails in the end."""

    def open(self) -> None:
        super().open()
        self.steps += 1
        self.comes_back.wait(30)
        raise RuntimeError("too late")


async def test_steps_that_end_may_take_long_together() -> None:
    """A long outage of the brokers: each step ends by its deadline, and the next one begins."""
    thread = TransactionThread(Slow(20))
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await thread.open()
    assert loop.time() - begun > 2 * LONGEST_S


async def test_a_step_that_does_not_end_is_the_end() -> None:
    """One sentence; and what it comes back with after all is nobody's complaint."""
    complaints = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
    writer = Hanging(1)
    thread = TransactionThread(writer)
    with pytest.raises(StuckError, match="has not come back from a transaction for 1 s"):
        await thread.open()
    writer.comes_back.set()
    await asyncio.to_thread(thread.close)
    await settled_loop()
    gc.collect()
    assert complaints == []


@pytest.mark.parametrize(("timeout_s", "longest_s"), [(0.5, 60.0), (20.0, 60.0), (1200.0, 2400.0)])
def test_a_call_has_twice_its_deadline(timeout_s: float, longest_s: float) -> None:
    """And a minute at least: with the chart's session timeout of 30 s a deadline is 20 s, with the
    longest, half an hour, 20 minutes."""

    def unused() -> None:
        raise AssertionError

    writer = TransactionWriter(unused, timeout_s)  # type: ignore[arg-type]
    assert writer.longest_s == longest_s
