"""Receivers at their worst, and what the others notice of it."""

import json
import socket
import time
from collections import defaultdict
from pathlib import Path

import pytest

from tests.kafka.broker import Kafka
from tests.support.order import judge
from tests.support.processes import ServiceProcess
from tests.support.receiver_tls import DAY, NOW, Authority
from tests.support.site import Site, make_site
from tests.support.webhook_sink import OK, Answer, Ending, Hit, WebhookSink

SCHEDULE = ["1s", "2s", *["4s"] * 40]


@pytest.fixture
def quick(kafka: Kafka, prefix: str) -> Site:
    return make_site(kafka, prefix, tiers=("1s", "2s", "4s"))


BAD = {
    "half": Answer(ending=Ending.HALF),
    "reset": Answer(ending=Ending.RESET),
    "never": Answer(ending=Ending.NEVER),
    "late": Answer(after_s=1.5),
    "refuses": Answer(503),
}


@pytest.mark.timeout(120)
def test_every_bad_answer_is_a_failure_and_comes_again_in_order(
    quick: Site, sink: WebhookSink, tmp_path: Path
) -> None:
    """Half a response, a reset, none, one after the timeout, a refusal: once each, then well."""
    accepted: list[Hit] = []
    seen: set[tuple[str, bytes]] = set()

    def answer(hit: Hit) -> Answer:
        first = (hit.path, hit.body) not in seen
        seen.add((hit.path, hit.body))
        if first and number(hit) % 2 == 0:
            return BAD[hit.path.removeprefix("/")]
        accepted.append(hit)
        return OK

    sink.answer = answer
    for name in BAD:
        delivery = {"timeout": "1s", "connect_timeout": "1s"}
        quick.subscribe(name, sink.url(name), delivery=delivery, retry={"schedule": SCHEDULE})
    with quick.fanout() as fanout, quick.retrier(RETRIER__SPOOL_DIR=str(tmp_path)) as retrier:
        fanout.wait_ready()
        retrier.wait_ready()
        quick.publish_numbers([f"key-{n % 3}" for n in range(12)])
        sink.wait_for(lambda: len(accepted) == 12 * len(BAD), 60.0)
        assert (fanout.terminate(), retrier.terminate()) == (0, 0)
    verdict = judge(accepted, {name: set(range(12)) for name in BAD})
    assert verdict.in_order_and_complete, verdict
    assert verdict.repeats == 0
    tries = defaultdict(list)
    for hit in sink.hits:
        tries[hit.path, hit.body].append(hit.headers["hooklane-attempt"])
    assert {tuple(one) for one in tries.values()} == {("1",), ("1", "2")}


@pytest.mark.timeout(120)
def test_a_storm_of_429_is_waited_out(quick: Site, sink: WebhookSink, tmp_path: Path) -> None:
    """Each lane keeps its Retry-After, nothing is lost, and another receiver notices nothing."""
    until = 0.0
    accepted: list[Hit] = []
    refused: dict[str, float] = {}
    early: list[str] = []

    def answer(hit: Hit) -> Answer:
        if hit.path == "/busy":
            # A clock of whole milliseconds rounds, and waits by another clock.
            if hit.at < refused.get(hit.key, 0.0) + 1.9:
                early.append(hit.key)
            if hit.at < until:
                refused[hit.key] = hit.at
                return Answer(429, (("retry-after", "2"),))
        accepted.append(hit)
        return OK

    sink.answer = answer
    # Ports of their own: a circuit is an origin's.
    with WebhookSink(answer) as other:
        quick.subscribe("busy", sink.url("busy"), retry={"schedule": SCHEDULE})
        quick.subscribe("calm", other.url("calm"))
        with quick.fanout() as fanout, quick.retrier(RETRIER__SPOOL_DIR=str(tmp_path)) as retrier:
            fanout.wait_ready()
            retrier.wait_ready()
            until = time.monotonic() + 4.0
            quick.publish_numbers([f"key-{n % 100}" for n in range(500)])
            other.wait_for(lambda: len(other.hits) == 500)
            sink.wait_for(lambda: len(accepted) == 1000, 60.0)
            assert (fanout.terminate(), retrier.terminate()) == (0, 0)
    assert refused
    assert early == []
    verdict = judge(accepted, {name: set(range(500)) for name in ("busy", "calm")})
    assert verdict.in_order_and_complete, verdict
    assert verdict.repeats == 0


@pytest.mark.timeout(120)
def test_one_dead_among_a_thousand(quick: Site, sink: WebhookSink) -> None:
    """A receiver that takes connections and never answers keeps no event from the other 999."""
    with socket.create_server(("127.0.0.1", 0)) as dead:
        url = f"http://127.0.0.1:{dead.getsockname()[1]}/dead"
        # Longer than this test: whoever waits for it waits in vain.
        quick.subscribe("dead", url, delivery={"timeout": "120s"})
        quick.subscribe_many({f"s-{n}": sink.url(f"s-{n}") for n in range(999)})
        # On a busy machine some wait for longer than others do: none goes into the backlog for it.
        with quick.fanout(FANOUT__SPILL_AFTER="60s") as fanout:
            fanout.wait_ready()
            quick.publish_numbers(["k"] * 3)
            sink.wait_for(lambda: len(sink.hits) >= 3 * 999, 60.0)
            fanout.kill()
    verdict = judge(sink.hits, {f"s-{n}": {0, 1, 2} for n in range(999)})
    assert verdict.in_order_and_complete
    assert verdict.repeats == 0


@pytest.mark.timeout(120)
def test_a_receiver_s_certificate_expires_and_is_rotated(quick: Site, tmp_path: Path) -> None:
    """Expired: failed attempts that say so; a new one: they come again, in order."""
    authority = Authority()
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(authority.pem)
    context = authority.issue("127.0.0.1", NOW - DAY).server(tmp_path)
    environment = quick.environment(RETRIER__SPOOL_DIR=str(tmp_path / "spool"))
    environment["SSL_CERT_FILE"] = str(trusted)
    with (
        WebhookSink(tls=context) as sink,
        ServiceProcess("fanout", environment) as fanout,
        ServiceProcess("retrier", environment) as retrier,
    ):
        quick.subscribe("a", sink.url("a"), retry={"schedule": SCHEDULE})
        fanout.wait_ready()
        retrier.wait_ready()
        quick.publish_numbers(["k", "k"])
        retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 2)
        assert sink.hits == []
        authority.issue("127.0.0.1", NOW + DAY).load(context, tmp_path)
        sink.wait_for(lambda: len(sink.hits) == 2)
        # Another one: open connections live on, new ones see it.
        authority.issue("127.0.0.1", NOW + 2 * DAY).load(context, tmp_path)
        quick.publish_numbers(["k", "other"], first=2)
        sink.wait_for(lambda: len(sink.hits) == 4)
        assert (fanout.terminate(), retrier.terminate()) == (0, 0)
    assert [number(hit) for hit in sink.hits if hit.key == "k"] == [0, 1, 2]
    failed = {one.detail for one in quick.attempts() if one.status is None}
    assert failed
    assert all("expired" in detail for detail in failed)


def number(hit: Hit) -> int:
    return int(json.loads(hit.body)["n"])
