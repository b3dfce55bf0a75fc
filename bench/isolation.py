"""What healthy keys notice of failing ones: the same flow without failures, and with them.

4,000 events of 40 keys go to three subscriptions in about ten seconds. In the second run one
request in ten of 30 of the keys fails, and one key fails altogether for 8 s; nine keys never
fail. Compared is how long those nine keys' events are under way in both runs.
"""

import random
import tempfile
import threading
import time
from collections.abc import Callable
from statistics import quantiles
from uuid import uuid4

from bench.machine import load_average
from bench.tables import Report, Table
from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing
from tests.support.order import judge
from tests.support.site import Site, make_site
from tests.support.webhook_sink import OK, Answer, Hit, WebhookSink

_EVENTS = 4000
_KEYS = 40
_HEALTHY = range(31, 40)
_NAMES = ("one", "two", "three")
_SCHEDULE = ["1s", "2s", *["4s"] * 20]
_FLOW_S = 10.0
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


def measure_isolation(kafka: Kafka) -> Report:
    """Both runs, and the ratio of their p99."""
    before = load_average()
    calm, _, _ = _run(kafka, lambda: lambda _: OK)
    rough, seconds, retried = _run(kafka, lambda: _Failing(8.0))
    rows = [["without failures", *_row(calm)], ["with failures", *_row(rough)]]
    ratio = _p99(rough) / _p99(calm)
    table = Table(
        f"Latency of the {len(_HEALTHY)} keys that never fail, ms (load average {before:.1f})",
        ["run", "p50", "p95", "p99"],
        rows,
    )
    other = Table(
        "The whole",
        ["p99 with / without failures", "all accepted after, s", "requests refused"],
        [[f"{ratio:.2f}", f"{seconds:.1f}", str(retried)]],
    )
    return Report([table, other], {"p99_ratio": ratio, "seconds": seconds, "refused": retried})


def _run(
    kafka: Kafka, answers: Callable[[], Callable[[Hit], Answer]]
) -> tuple[list[float], float, int]:
    """The healthy keys' latencies in ms, the seconds until all was accepted, what was refused."""
    site = make_site(kafka, f"isolation-{uuid4().hex[:6]}", tiers=("1s", "2s", "4s"))
    accepted: list[Hit] = []
    with WebhookSink() as sink, tempfile.TemporaryDirectory() as spool:
        for name in _NAMES:
            site.subscribe(name, sink.url(name), retry={"schedule": _SCHEDULE})
        with site.fanout() as fanout, site.retrier(RETRIER__SPOOL_DIR=spool) as retrier:
            fanout.wait_ready()
            retrier.wait_ready()
            inner = answers()

            def answer(hit: Hit) -> Answer:
                found = inner(hit)
                if found.status == OK.status:
                    accepted.append(hit)
                return found

            sink.answer = answer
            began = time.monotonic()
            published = _publish(site)
            sink.wait_for(lambda: len(accepted) >= _EVENTS * len(_NAMES), 90.0)
            seconds = time.monotonic() - began
    verdict = judge(accepted, {name: set(range(_EVENTS)) for name in _NAMES})
    if not verdict.in_order_and_complete or verdict.repeats:
        raise AssertionError(f"not in order and complete: {verdict}")
    latencies = [
        (hit.at - published[_number(hit)]) * 1000 for hit in accepted if int(hit.key) in _HEALTHY
    ]
    return latencies, seconds, len(sink.hits) - len(accepted)


def _publish(site: Site) -> list[float]:
    """All events, evenly; gives the monotonic second at which each was handed over."""
    at = [0.0] * _EVENTS

    def flow() -> None:
        begin = time.monotonic()
        for first in range(0, _EVENTS, _CHUNK):
            time.sleep(max(begin + _FLOW_S * first / _EVENTS - time.monotonic(), 0))
            at[first : first + _CHUNK] = [time.monotonic()] * _CHUNK
            site.publish(
                Outgoing(b"%d" % (number % _KEYS), b'{"n":%d}' % number)
                for number in range(first, first + _CHUNK)
            )

    thread = threading.Thread(target=flow)
    thread.start()
    thread.join()
    return at


def _number(hit: Hit) -> int:
    return int(hit.body[5:-1])


def _p99(latencies: list[float]) -> float:
    return quantiles(latencies, n=100)[98]


def _row(latencies: list[float]) -> list[str]:
    cuts = quantiles(latencies, n=100)
    return [f"{cuts[at]:.1f}" for at in (49, 94, 98)]
