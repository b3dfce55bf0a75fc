"""Calls of plugins: whatever one does fails what it was asked for, and names it."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from hooklane.runtime.plugin_calls import Guard
from hooklane.runtime.threads import SomeThreads
from hooklane.schemas.plugged import PluginError, PluginRefusal
from hooklane.schemas.plugin import EventRefused, PluginFailure
from tests.support.fanout_facts import settled_loop, until


def guard(function: Callable[..., object], limit_s: float = 10.0, most: int = 4) -> Guard:
    return Guard("the plugin acme of pack 1.0", (), function, SomeThreads("t", most), limit_s)


def as_is(found: object) -> object:
    return found


def raising(error: BaseException) -> Callable[[], object]:
    def call() -> object:
        raise error

    return call


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """What a hanging call waits for; set at the end, so that no thread stays."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("error", [RuntimeError("k3y"), SystemExit(3), KeyboardInterrupt("k3y")])
def test_an_exception_is_named_without_its_text(error: BaseException) -> None:
    """It may hold a secret, or be meant to end the process: neither gets out of the thread."""
    with capture_logs() as logs, pytest.raises(PluginError) as told:
        guard(raising(error)).ask(as_is)
    assert str(told.value) == (
        f"the plugin acme of pack 1.0 failed: {type(error).__name__}, see the log"
    )
    assert [one["event"] for one in logs] == ["plugin.failed"]


def test_a_plugin_that_fails_often_does_not_fill_the_log() -> None:
    """One traceback a minute of each."""
    failing = guard(raising(RuntimeError("again")))
    with capture_logs() as logs:
        for _ in range(20):
            with pytest.raises(PluginError):
                failing.ask(as_is)
    assert len(logs) == 1


def test_what_it_means_to_say_is_said() -> None:
    """In one line, and a refusal of the event is told from a failure."""
    with pytest.raises(PluginError, match=r"acme of pack 1.0 failed: the vault said 503$") as told:
        guard(raising(PluginFailure("the vault\nsaid 503."))).ask(as_is)
    assert not isinstance(told.value, PluginRefusal)
    with pytest.raises(PluginRefusal, match="refuses the event: no amount"):
        guard(raising(EventRefused("no amount"))).ask(as_is)


def test_an_answer_is_read_in_the_plugins_thread() -> None:
    """A generator that fails half way, or sleeps, does so there and not in the event loop."""
    seen = []

    def lazy() -> Iterator[int]:
        seen.append(threading.current_thread().name)
        yield 1
        raise RuntimeError

    with pytest.raises(PluginError, match="failed: RuntimeError"):
        guard(lazy).ask(list)  # type: ignore[arg-type]  # a generator is what it gets
    assert seen == ["t"]


async def test_a_call_that_hangs_is_left_behind(stuck: threading.Event) -> None:
    """The event loop goes on meanwhile; what hangs is not asked again before it is back."""
    hanging = guard(stuck.wait, limit_s=0.05)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.005)

    beside = asyncio.create_task(others())
    with pytest.raises(PluginError, match=r"has not answered within 0.05 s"):
        await hanging.answer(as_is)
    assert turns > 1
    beside.cancel()
    begun = time.monotonic()
    with pytest.raises(PluginError, match="it has not come back from an earlier call"):
        hanging.ask(as_is)
    assert time.monotonic() - begun < 0.04
    stuck.set()
    deadline = time.monotonic() + 10
    while True:
        try:
            assert await hanging.answer(as_is) is True
            break
        except PluginError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)


async def test_who_has_gone_hears_no_more_of_it() -> None:
    """An attempt is cancelled, and then its plugin fails: nothing is left that would complain."""
    held, complaints = threading.Event(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))

    def fails() -> object:
        held.wait(10)
        raise PluginFailure("too late")

    threads = SomeThreads("t", 1)
    asking = asyncio.create_task(Guard("a", ("a",), fails, threads, 10.0).answer(as_is))
    await until(lambda: threads.threads)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    held.set()
    # The thread is one: what is asked next is asked when the failure has been told.
    await asyncio.wrap_future(threads.submit(lambda: None))
    await settled_loop()
    del asking
    gc.collect()
    assert complaints == []


def test_one_that_hangs_holds_up_nobody_of_other_options(stuck: threading.Event) -> None:
    """The threads are the plugin's; what hangs takes one of them."""
    threads = SomeThreads("t", 2)
    hanging = Guard("a", ("a",), stuck.wait, threads, 0.05)
    quick = Guard("b", ("b",), lambda: 5, threads, 10.0)
    for _ in range(3):
        with pytest.raises(PluginError):
            hanging.ask(as_is)
    assert quick.ask(as_is) == 5


def test_calls_go_on_several_threads_at_once() -> None:
    """Sixteen slow answers take the time of one, not of sixteen."""
    both = threading.Barrier(4, timeout=10)
    threads = SomeThreads("t", 4)
    calls = [threads.submit(both.wait) for _ in range(4)]
    assert sorted(call.result(10) for call in calls) == [0, 1, 2, 3]
    assert len(threads.threads) == 4
