"""Clocks that are wrong, and that are set while the services run."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.stage import Stage, stage
from tests.kafka.broker import Kafka
from tests.support.clocked import SET_BY
from tests.support.processes import ServiceProcess

HOUR_S = 3600.0


@contextmanager
def clocked(flowing: Stage, command: str, folder: Path, ahead_s: float) -> Iterator[ServiceProcess]:
    """The service, ready, under a clock that is so far ahead."""
    set_clock(folder, command, ahead_s)
    environment = flowing.site.environment(RETRIER__SPOOL_DIR=str(folder / "spool"))
    environment[SET_BY] = str(folder / command)
    program = [sys.executable, "-m", "tests.support.clocked"]
    with ServiceProcess(command, environment, program=program) as process:
        process.wait_ready()
        yield process


def set_clock(folder: Path, command: str, ahead_s: float) -> None:
    # By a rename: it is read at any moment.
    new = folder / f"{command}.new"
    new.write_text(str(ahead_s))
    new.rename(folder / command)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("fanout_s", "retrier_s"),
    [
        pytest.param(-HOUR_S, -HOUR_S, id="both behind", marks=pytest.mark.slow),
        pytest.param(0.0, HOUR_S, id="retrier ahead"),
    ],
)
def test_a_wrong_clock_that_steps_back_shifts_due_times_only(
    kafka: Kafka, prefix: str, tmp_path: Path, fanout_s: float, retrier_s: float
) -> None:
    """An hour wrong, then five seconds back at once: all arrives, in order, that much later."""
    with (
        stage(kafka, prefix) as flowing,
        clocked(flowing, "fanout", tmp_path, fanout_s) as fanout,
        clocked(flowing, "retrier", tmp_path, retrier_s) as retrier,
    ):
        flowing.settle()
        for command, ahead_s in (("fanout", fanout_s), ("retrier", retrier_s)):
            set_clock(tmp_path, command, ahead_s - 5.0)
        flowing.settle()
        flowing.finish()
        assert (fanout.terminate(), retrier.terminate()) == (0, 0)
