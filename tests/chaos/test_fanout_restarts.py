"""Two fan-outs, stopped and killed in turn while 12,000 events flow to five subscriptions."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing
from tests.support.order import judge
from tests.support.processes import ServiceProcess
from tests.support.site import Site, make_site
from tests.support.webhook_sink import WebhookSink

EVENTS = 12_000
KEYS = 500
CHUNK = 500
SEED = 20_26


def type_of(number: int) -> str:
    return ("invoice.paid", "invoice.sent", "order.created", "order.shipped")[number % 4]


SUBSCRIPTIONS: dict[str, tuple[dict[str, object], Callable[[int], bool]]] = {
    "all": ({}, lambda n: True),
    "invoices": ({"types": ["invoice.*"]}, lambda n: n % 4 < 2),
    "shipped": ({"types": ["order.shipped"]}, lambda n: n % 4 == 3),
    "subject": (
        {"filters": [{"any": [{"prefix": {"subject": "eu-"}}, {"exact": {"subject": "us-1"}}]}]},
        lambda n: n % 5 == 0 or n % 5 == 1,
    ),
    "content": ({"filters": [{"cel": "data.n % 3 == 0"}]}, lambda n: n % 3 == 0),
}


def events(first: int, last: int) -> Iterator[Outgoing]:
    subjects = (b"eu-1", b"us-1", b"us-2", b"as-1", b"as-2")
    for number in range(first, last):
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", b"%d" % number),
            ("ce_source", b"/shop"),
            ("ce_type", type_of(number).encode()),
            ("ce_subject", subjects[number % 5]),
            ("content-type", b"application/json"),
        ]
        yield Outgoing(b"key-%d" % (number % KEYS), b'{"n":%d}' % number, headers)


@pytest.fixture
def busy_site(kafka: Kafka, prefix: str, sink: WebhookSink) -> Site:
    site = make_site(kafka, prefix, partitions=6)
    for name, (match, _) in SUBSCRIPTIONS.items():
        site.subscribe(name, sink.url(name), match=match)
    return site


def wanted() -> dict[str, set[int]]:
    return {
        name: {number for number in range(EVENTS) if matches(number)}
        for name, (_, matches) in SUBSCRIPTIONS.items()
    }


def flow(site: Site, seconds: float) -> threading.Thread:
    """All events, spread over about this many seconds."""

    def publish() -> None:
        for first in range(0, EVENTS, CHUNK):
            site.publish(events(first, first + CHUNK))
            time.sleep(seconds * CHUNK / EVENTS)

    thread = threading.Thread(target=publish)
    thread.start()
    return thread


def run(site: Site, sink: WebhookSink, bounce: Callable[[ServiceProcess], None]) -> int:
    """Events flow while one fan-out after the other goes down and comes back; gives bounces."""
    total = sum(map(len, wanted().values()))
    chance = random.Random(SEED)
    with ExitStack() as stack:
        # Nobody is there to deliver a backlog: a receiver that is slow for a moment is waited for.
        patient = {"FANOUT__SPILL_AFTER": "10m"}
        processes = [stack.enter_context(site.fanout(name, **patient)) for name in ("one", "two")]
        for process in processes:
            process.wait_ready()
        publishing = flow(site, 8.0)
        bounces = 0
        while publishing.is_alive():
            time.sleep(chance.uniform(0.2, 1.0))
            process = processes[bounces % 2]
            bounce(process)
            process.start()
            process.wait_ready()
            bounces += 1
        publishing.join()
        sink.wait_for(lambda: distinct(sink) >= total, 60.0)
        for process in processes:
            assert process.terminate() == 0
    return bounces


def distinct(sink: WebhookSink) -> int:
    return len({(hit.path, hit.body) for hit in sink.hits})


@pytest.mark.timeout(240)
def test_sigterm_in_turn_loses_nothing_and_repeats_nothing(
    busy_site: Site, sink: WebhookSink
) -> None:
    """Rule 6: what is settled is committed before a partition passes on."""

    def bounce(process: ServiceProcess) -> None:
        assert process.terminate() == 0

    bounces = run(busy_site, sink, bounce)
    verdict = judge(sink.hits, wanted())
    assert bounces >= 3
    assert verdict.in_order_and_complete, verdict
    assert verdict.repeats == 0
    assert busy_site.dead_letters() == []


@pytest.mark.timeout(240)
def test_sigkill_in_turn_loses_nothing_and_keeps_the_order(
    busy_site: Site, sink: WebhookSink
) -> None:
    """Rules 3 to 5: repeats are only of what was in flight or not yet committed, in order."""
    bounces = run(busy_site, sink, lambda process: process.kill())
    verdict = judge(sink.hits, wanted())
    assert bounces >= 3
    assert verdict.in_order_and_complete, verdict
    # What may come again is what a process had attempted since its last commit.
    assert verdict.repeats <= bounces * 2000
    assert busy_site.dead_letters() == []
