"""How far a run is: a bar on a terminal's stderr; and Ctrl-C, which lets a batch end first."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, TypeAlias

from hooklane.ops.output import notice
from hooklane.ops.runs import RunPace

if TYPE_CHECKING:
    from hooklane.schemas.subscription_values import RateLimit


Advance: TypeAlias = Callable[[int], None]
"""Told how many more are done."""


class Stop:
    """Whether somebody wants it to end."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def is_asked(self) -> bool:
        return self._asked.is_set()

    def ask(self) -> None:
        self._asked.set()

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until it is asked for."""
        self._asked.wait(seconds)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """The first SIGINT or SIGTERM asks to stop, a second one ends at once as usual."""
    stop = Stop()
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def asked(_number: int, _frame: FrameType | None) -> None:
        restore()
        stop.ask()

    for one in before:
        signal.signal(one, asked)
    try:
        yield stop
    finally:
        restore()


class Pacer:
    """Waits as `--rate` asks; not at all without one."""

    def __init__(self, rate: "RateLimit | None", most: int) -> None:
        self._pace = None if rate is None else RunPace(rate.count, rate.per_s)
        self.batch = most if self._pace is None else min(most, self._pace.at_once)

    def wait(self, count: int, stop: Stop) -> None:
        """Until `count` more may go, or somebody wants it to stop."""
        if self._pace is None:
            return
        stop.wait(self._pace.wait_s(time.monotonic()))
        self._pace.gone(count, time.monotonic())


@contextmanager
def bar(what: str, total: int) -> Iterator[Advance]:
    """A progress bar while this is open; a sentence where stderr is no terminal."""
    if not sys.stderr.isatty():
        notice(f"{what}: {total:,}.")
        yield lambda _: None
        return
    # Rich costs 30 ms to import: only a person at a terminal pays for it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)
