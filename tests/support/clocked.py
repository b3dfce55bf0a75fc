"""`python -m tests.support.clocked fanout|retrier`: the service under a clock that a test sets.

The file that HOOKLANE_TEST_CLOCK names holds how many seconds the wall clock is ahead; it may be
written anew at any time. All else is as `hooklane fanout` and `hooklane retrier` do it.
"""

import os
import sys
import time
from pathlib import Path

import uvloop

from hooklane.delivery.ground import standing_on_kafka
from hooklane.fanout.run import fanout_running
from hooklane.retrier.run import retrier_running
from hooklane.runtime.log import start_logging
from hooklane.runtime.metrics import Service
from hooklane.runtime.settings import load_settings
from hooklane.runtime.shutdown import end_on_faults, shutdown_signals, until_asked_or_failed

SET_BY = "HOOKLANE_TEST_CLOCK"


class SetClock:
    """A hooklane.runtime.clock.Clock whose wall time is wrong by what a file says."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def monotonic(self) -> float:
        return time.monotonic()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000 + round(float(self._file.read_text()) * 1000)


async def _run(service: Service) -> None:
    settings = load_settings(None)
    secrets = start_logging(settings, service.value)
    clock = SetClock(Path(os.environ[SET_BY]))
    with shutdown_signals() as shutdown:
        async with standing_on_kafka(settings, service, secrets, clock) as ground:
            running_on = fanout_running if service is Service.FANOUT else retrier_running
            async with running_on(ground) as running:
                end_on_faults(running.failed)
                await until_asked_or_failed(shutdown, running.failure, running.following)


if __name__ == "__main__":
    uvloop.run(_run(Service(sys.argv[1])))
