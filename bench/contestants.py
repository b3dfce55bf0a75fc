"""Who is measured: the fan-out, and the hand-written loop. Each takes events from its own topic."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from uuid import uuid4

from bench.load import KEYS, PARTITIONS, bench_environment, make_bench_site
from bench.sinks import CountingSink
from tests.kafka.broker import Kafka
from tests.kafka.records import create_topic
from tests.support.processes import ServiceProcess
from tests.support.site import SECRET, Site

_ROOT = Path(__file__).resolve().parents[1]
_IN_FLIGHT = 512
"""Half of what a process has by default, which is the most that one subscription can take."""


_SIGNING = {"scheme": "standard", "secrets": [SECRET]}


class Contestant(Protocol):
    """A process between `with` and its end that delivers what comes into `topic`."""

    name: str
    topic: str
    keys: int
    """How many keys its events have."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...

    @property
    def pid(self) -> int: ...

    def check(self) -> None:
        """Raises AssertionError where it did something else than deliver."""


class HooklaneFanout:
    """`hooklane fanout` with its defaults: signed, in order, with ledger, attempts and metrics.

    `more` are settings, by the names after `HOOKLANE_`.
    """

    name = "hooklane fanout"
    keys = KEYS

    def __init__(self, kafka: Kafka, sink: CountingSink, **more: str) -> None:
        site = make_bench_site(kafka, f"bench-{uuid4().hex[:6]}")
        self._subscribe(site, sink)
        self.topic = site.events
        environ = bench_environment(site, **more)
        self._process = ServiceProcess("fanout", environ, f"bench-{site.prefix}")

    def _subscribe(self, site: Site, sink: CountingSink) -> None:
        site.subscribe("bench", sink.url, signing=_SIGNING, delivery={"max_in_flight": _IN_FLIGHT})

    def __enter__(self) -> Self:
        self._process.__enter__()
        self._process.wait_ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._process.__exit__(kind, error, tb)

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        for line in (
            "hooklane_redirects_total",
            "hooklane_dead_letters_total",
            'hooklane_delivery_attempts_total{outcome="failed",service="fanout"}',
        ):
            found = self._process.metric(line)
            assert found == 0, f"{line} is {found:.0f}: not everything was delivered at once"


class _HandWrittenLoop:
    """baseline.py. `batch`: how many records it takes from the consumer at once."""

    name: str
    batch: int
    keys = KEYS

    def __init__(self, kafka: Kafka, sink: CountingSink) -> None:
        name = f"baseline-{uuid4().hex[:6]}"
        self.topic = create_topic(kafka, name, PARTITIONS)
        module = [sys.executable, "-m", "bench.baseline"]
        self._command = [*module, kafka.bootstrap_servers, name, name, sink.url, str(self.batch)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, text=True, cwd=_ROOT
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "the hand-written loop did not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate(timeout=10)

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        assert self._process.poll() is None, "the hand-written loop has ended"


class LoopByPolls(_HandWrittenLoop):
    """As most are written: a `poll` for each record."""

    name = "aiohttp loop, poll()"
    batch = 1


class LoopByBatches(_HandWrittenLoop):
    """As the best are written: `consume(500)`."""

    name = "aiohttp loop, consume(500)"
    batch = 500


ORIGINS = 400


class ManyOrigins(HooklaneFanout):
    """Each key's events go to a subscription of their own, each at an address of its own."""

    name = f"{ORIGINS} origins"
    keys = ORIGINS

    def _subscribe(self, site: Site, sink: CountingSink) -> None:
        for number in range(ORIGINS):
            site.subscribe(
                f"bench-{number}",
                sink.url_at(number),
                match={"filters": [{"exact": {"partitionkey": f"k{number}"}}]},
                signing=_SIGNING,
                delivery={"max_in_flight": _IN_FLIGHT},
            )


class OneOrigin(HooklaneFanout):
    """As many keys, one subscription."""

    name = "one origin"
    keys = ORIGINS
