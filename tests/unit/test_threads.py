"""The thread that nobody has to wait for."""

import threading

from hooklane.runtime.threads import OneThread


def test_calls_come_one_after_the_other_with_their_results() -> None:
    """In the order in which they were given, each with what it returns or raises."""
    thread, seen = OneThread("t"), list[str]()
    first = thread.submit(seen.append, "a")
    second = thread.submit(int, "no number")
    third = thread.submit(lambda: [*seen, "c"])
    assert first.result(5) is None
    assert isinstance(second.exception(5), ValueError)
    assert third.result(5) == ["a", "c"]
    assert thread.end(5)


def test_a_call_that_does_not_come_back_keeps_nobody() -> None:
    """SIGTERM ends a service also where a foreign library never returns."""
    thread, stuck = OneThread("t"), threading.Event()
    call = thread.submit(stuck.wait)
    waiting = thread.submit(int)
    assert not thread.end(0.05)
    assert call.running()
    assert not waiting.done()
    stuck.set()
    assert thread.end(5)


def test_one_that_was_never_used_ends_at_once() -> None:
    """A service that fails while it starts has called nothing there."""
    assert OneThread("t").end(5)
