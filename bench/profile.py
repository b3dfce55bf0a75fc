"""Where a fan-out's CPU time goes, by stage: py-spy samples it while it is under full load.

What py-spy sees is which function runs, on which thread; how much CPU each thread has used comes
from the kernel, so that the figures add up. Threads of librdkafka have no Python stack: they are
a stage of their own. The process is stopped for each sample, so its speed means nothing here.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from bench.contestants import HooklaneFanout
from bench.machine import Cores, thread_seconds
from bench.sinks import build_sink
from bench.stages import Frame, Stage, stage_of
from bench.tables import Report, Table
from bench.throughput import Arena
from tests.kafka.broker import Kafka

_RATE = 250
_SAMPLED_S = 4
_TOP = 25
_WAITING = "_worker (concurrent/futures/thread.py)"


@dataclass(frozen=True, slots=True)
class Sampled:
    """CPU seconds by stage and by function."""

    stages: Mapping[Stage, float]
    functions: Mapping[str, float]
    seconds: float


def measure_stages(kafka: Kafka, cores: Cores | None, events: int) -> Report:
    """A run without the profiler for the CPU time of each thread, one with it for its parts.

    Raises:
        ProfilerError: there is no py-spy, or it may not look into processes here.
    """
    with tempfile.TemporaryDirectory(prefix="hooklane-bench-") as folder:
        arena = Arena(kafka, cores, build_sink(Path(folder)))
        threads, sampler = _Threads(), _Sampler(Path(folder) / "stacks.txt")
        plain = arena.measure(HooklaneFanout, events, 0, threads)
        arena.measure(HooklaneFanout, events * 2, 0, sampler)
    return _report(plain.cpu_us, weigh(sampler.stacks, threads.seconds))


class ProfilerError(Exception):
    """py-spy did not do its work; the text says what to change."""


class _Threads:
    """How much CPU each thread has used, by Python's name of it, or the kernel's."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def began(self, pid: int) -> None:
        self._before = thread_seconds(pid)

    def ended(self, pid: int) -> None:
        after = thread_seconds(pid)
        names = {
            one["os_thread_id"]: one["thread_name"]
            for one in json.loads(_py_spy("dump", "--json", "--pid", str(pid)))
        }
        for thread, (kernel, used) in after.items():
            name = names.get(thread) or kernel
            before = self._before.get(thread, ("", 0.0))[1]
            self.seconds[name] = self.seconds.get(name, 0.0) + used - before


class _Sampler:
    """What the threads did, for some seconds from the beginning."""

    def __init__(self, raw: Path) -> None:
        self._raw = raw
        self.stacks: list[Stack] = []

    def began(self, pid: int) -> None:
        command = ["record", "--pid", str(pid), "--format", "raw", "--threads"]
        options = ["--rate", str(_RATE), "--duration", str(_SAMPLED_S), "--output", str(self._raw)]
        _py_spy(*command, *options)
        self.stacks = list(read_stacks(self._raw.read_text().splitlines()))

    def ended(self, pid: int) -> None:
        pass


def _py_spy(*arguments: str) -> str:
    program = Path(sys.executable).with_name("py-spy")
    try:
        done = subprocess.run(
            [str(program), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise ProfilerError("py-spy is not installed: see requirements/bench.txt.") from error
    if done.returncode != 0:
        raise ProfilerError(
            f"py-spy cannot look into the fan-out ({done.stderr.strip()[-300:]}): allow ptrace "
            "(kernel.yama.ptrace_scope), or run it as root."
        )
    return done.stdout


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack, the outermost frame first, and how often it was seen."""

    thread: str
    frames: tuple[Frame, ...]
    count: int


def read_stacks(lines: Iterable[str]) -> Iterable[Stack]:
    """py-spy's raw format: `thread (7): name;function (file:line);... count`."""
    for line in lines:
        path, _, count = line.rpartition(" ")
        thread, *frames = path.split(";")
        stack = Stack(thread.partition(": ")[2], tuple(map(Frame.read, frames)), int(count))
        # An executor's thread that waits for work is in a lock, which py-spy cannot tell from work.
        if not (stack.frames and stack.frames[-1].named == _WAITING):
            yield stack


def weigh(stacks: Sequence[Stack], seconds: Mapping[str, float]) -> Sampled:
    """Share out each thread's CPU seconds by its stacks. A thread never seen is one part."""
    seen: Counter[str] = Counter()
    for stack in stacks:
        seen[stack.thread] += stack.count
    stages: defaultdict[Stage, float] = defaultdict(float)
    functions: defaultdict[str, float] = defaultdict(float)
    unseen = [Stack(thread, (), 1) for thread in seconds if thread not in seen]
    for stack in (*stacks, *unseen):
        share = stack.count / (seen[stack.thread] or 1)
        weight = seconds.get(stack.thread, 0.0) * share
        stages[stage_of(stack.thread, stack.frames)] += weight
        functions[stack.frames[-1].named if stack.frames else stack.thread] += weight
    return Sampled(stages, functions, sum(seconds.values()))


def _report(cpu_us: float, sampled: Sampled) -> Report:
    share = {stage: used / sampled.seconds for stage, used in sampled.stages.items()}
    by_stage = {stage: share.get(stage, 0.0) for stage in Stage}
    stages = Table(
        f"Where the CPU time of a delivery goes ({cpu_us:.0f} us in a run without the profiler)",
        ("stage", "us", "share"),
        [(stage.value, f"{part * cpu_us:.1f}", f"{part:.1%}") for stage, part in by_stage.items()],
        ("A sink that answers at once. Shares by py-spy, weighted by the threads' CPU time.",),
    )
    top = sorted(sampled.functions.items(), key=itemgetter(1), reverse=True)[:_TOP]
    functions = Table(
        "The functions that took most themselves (without what they call in Python)",
        ("function", "us", "share"),
        [
            (name, f"{used / sampled.seconds * cpu_us:.1f}", f"{used / sampled.seconds:.1%}")
            for name, used in top
        ],
    )
    values = {
        "cpu_us": cpu_us,
        "stages_us": {stage.value: part * cpu_us for stage, part in by_stage.items()},
        "functions_us": {name: used / sampled.seconds * cpu_us for name, used in top},
    }
    return Report([stages, functions], values)
