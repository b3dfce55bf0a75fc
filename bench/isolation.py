"""What healthy keys notice of failing ones: the same flow without failures, and with them.

4,000 events of 40 keys go to three subscriptions in ten seconds. In the rough run one request in
ten of 30 of the keys fails, and one key fails altogether for 8 s; nine keys never fail. Compared
is how long those nine keys' events are under way in both runs, round by round. A flow of two
seconds goes before each and does not count: a broker that has just started takes hundreds of
milliseconds for its first transactions.
"""

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles
from uuid import uuid4

from bench.machine import load_average
from bench.tables import Report, Table
from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing
from tests.support.order import judge
from tests.support.site import Site, make_site
from tests.support.webhook_sink import OK, Answer, Hit, WebhookSink

_WARM_UP = range(-800, 0)
_COUNTED = range(4000)
_A_SECOND = 400
_KEYS = 40
_HEALTHY = range(31, 40)
_NAMES = ("one", "two", "three")
_SCHEDULE = ["1s", "2s", *["4s"] * 20]
_CHUNK = 20


class _Failing:
    """One in ten of most keys, and key 0 altogether for its first seconds."""

    def __init__(self, seconds: float) -> None:
        self._chance = random.Random(1)
        self._until = time.monotonic() + seconds

    def __call__(self, hit: Hit) -> Answer:
        key = int(hit.key)
        if key in _HEALTHY:
            return OK
        if key == 0 and time.monotonic() < self._until:
            return Answer(503)
        return Answer(500) if self._chance.random() < 0.1 else OK


@dataclass(frozen=True, slots=True)
class _Run:
    """Latencies of the healthy keys in ms; seconds until all was accepted; what was refused."""

    latencies: list[float]
    seconds: float
    refused: int

    @property
    def p99(self) -> float:
        return quantiles(self.latencies, n=100)[98]

    def row(self, name: str) -> list[str]:
        cuts = quantiles(self.latencies, n=100)
        quoted = [f"{cuts[at]:.1f}" for at in (49, 94, 98)]
        return [name, *quoted, f"{self.seconds:.1f}", str(self.refused)]


def measure_isolation(kafka: Kafka, rounds: int) -> Report:
    """Both runs in turn, so many rounds; the ratio of their p99 is taken within a round."""
    before = load_average()
    rows, ratios, calm_p99, rough_p99 = [], [], [], []
    for number in range(1, rounds + 1):
        calm = _run(kafka, lambda: lambda _: OK)
        rough = _run(kafka, lambda: _Failing(8.0))
        rows += [calm.row(f"{number}: without failures"), rough.row(f"{number}: with failures")]
        ratios.append(rough.p99 / calm.p99)
        calm_p99.append(calm.p99)
        rough_p99.append(rough.p99)
    table = Table(
        f"Latency of the {len(_HEALTHY)} keys that never fail, ms (load average {before:.1f})",
        ["round", "p50", "p95", "p99", "all accepted after, s", "refused"],
        rows,
    )
    other = Table(
        "p99 with failures / without",
        ["median", "each"],
        [[f"{median(ratios):.2f}", ", ".join(f"{one:.2f}" for one in ratios)]],
    )
    values = {"p99_ratios": ratios, "calm_p99_ms": calm_p99, "rough_p99_ms": rough_p99}
    return Report([table, other], values)


def _run(kafka: Kafka, answers: Callable[[], Callable[[Hit], Answer]]) -> _Run:
    site = make_site(kafka, f"isolation-{uuid4().hex[:6]}", tiers=("1s", "2s", "4s"))
    accepted: list[Hit] = []
    with WebhookSink() as sink, tempfile.TemporaryDirectory() as spool:
        for name in _NAMES:
            site.subscribe(name, sink.url(name), retry={"schedule": _SCHEDULE})
        with site.fanout() as fanout, site.retrier(RETRIER__SPOOL_DIR=spool) as retrier:
            fanout.wait_ready()
            retrier.wait_ready()
            _publish(site, _WARM_UP)
            warm = len(_WARM_UP) * len(_NAMES)
            sink.wait_for(lambda: len(sink.hits) >= warm, 60.0)
            inner = answers()

            def answer(hit: Hit) -> Answer:
                found = inner(hit)
                if found.status == OK.status:
                    accepted.append(hit)
                return found

            sink.answer = answer
            began = time.monotonic()
            published = _publish(site, _COUNTED)
            sink.wait_for(lambda: len(accepted) >= len(_COUNTED) * len(_NAMES), 90.0)
            seconds = time.monotonic() - began
    verdict = judge(accepted, {name: set(_COUNTED) for name in _NAMES})
    if not verdict.in_order_and_complete or verdict.repeats:
        raise AssertionError(f"not in order and complete: {verdict}")
    latencies = [
        (hit.at - published[_number(hit)]) * 1000 for hit in accepted if int(hit.key) in _HEALTHY
    ]
    return _Run(latencies, seconds, len(sink.hits) - warm - len(accepted))


def _publish(site: Site, numbers: range) -> dict[int, float]:
    """Evenly, 400 a second; gives the monotonic second at which each was handed over."""
    at = {}
    begin = time.monotonic()
    for first in numbers[::_CHUNK]:
        time.sleep(max(begin + (first - numbers[0]) / _A_SECOND - time.monotonic(), 0))
        chunk = range(first, first + _CHUNK)
        at.update(dict.fromkeys(chunk, time.monotonic()))
        site.publish(Outgoing(b"%d" % (number % _KEYS), b'{"n":%d}' % number) for number in chunk)
    return at


def _number(hit: Hit) -> int:
    return int(hit.body[5:-1])
