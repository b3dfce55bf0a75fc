"""Cores and processes as Linux tells about them: who runs where, and what it has used."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cores:
    """`measured` is for the process that is measured alone; everything else runs on `rest`."""

    measured: int
    rest: frozenset[int]


def choose_cores() -> Cores | None:
    """The last core for what is measured; None where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return Cores(cores[-1], frozenset(cores[:-1])) if len(cores) > 1 else None


@contextmanager
def on(cores: frozenset[int]) -> Iterator[None]:
    """What this thread starts meanwhile runs on these cores, with all threads that it makes."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds so far: of one process, and of all that ran on its core."""

    process_s: float
    core_s: float


def usage(pid: int, core: int | None) -> Usage:
    return Usage(_process_s(pid), _core_s(core))


def _process_s(pid: int) -> float:
    """User and system time of all its threads, also of those that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _core_s(core: int | None) -> float:
    name = "cpu" if core is None else f"cpu{core}"
    for line in Path("/proc/stat").read_text().splitlines():
        found, *times = line.split()
        if found == name:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, times[:8])
            return (user + nice + system + irq + softirq + steal) / _TICKS
    raise LookupError(f"/proc/stat has no {name}")


def peak_rss_mib(pid: int) -> float:
    """The most memory that the process has had resident at once."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"/proc/{pid}/status has no VmHWM")


def thread_seconds(pid: int) -> dict[int, tuple[str, float]]:
    """By thread id: the name that the kernel knows, and the CPU seconds so far."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        nanoseconds = int((task / "schedstat").read_text().split()[0])
        found[int(task.name)] = (name, nanoseconds / 1e9)
    return found


def load_average() -> float:
    """Of the last minute: how many wanted to run."""
    return os.getloadavg()[0]
