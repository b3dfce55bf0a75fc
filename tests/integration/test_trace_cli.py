"""`hooklane trace` on a real Kafka: how an event is found, and what is said of little."""

import json
import time

import pytest

from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import KafkaAdmin
from hooklane.schemas.lane import LaneNamer
from tests.kafka.records import Outgoing, produce
from tests.support.operator_commands import Operator
from tests.support.operator_facts import a_letter, an_attempt, stored_attempt, stored_letter
from tests.support.site import PARTITIONS, Site

CLOUDEVENT = (("ce_specversion", b"1.0"), ("ce_source", b"/s"), ("ce_type", b"order.paid"))
STRUCTURED = (("content-type", b"application/cloudevents+json"),)


@pytest.fixture
def operator(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Operator:
    return Operator(site, monkeypatch, capsys)


def a_document(event_id: str) -> bytes:
    attributes = {"specversion": "1.0", "id": event_id, "source": "/s", "type": "order.paid"}
    return json.dumps({**attributes, "data": {"n": 1}}).encode()


def test_events_are_found_by_what_is_known_of_them(site: Site, operator: Operator) -> None:
    """An id in a document or as its place says, a key wherever its publisher puts it; and not
    what is too old, or elsewhere."""
    site.subscribe("billing", "https://h.example/", match={"types": ["order.*"]})
    site.subscribe("shipping", "https://h.example/", match={"types": ["parcel.*"]})
    partitions = range(PARTITIONS)
    hour_ago_ms = (time.time_ns() // 1_000_000) - 26 * 3_600_000
    places = site.publish(
        [
            # Each key is in every partition: no partitioner explains that.
            *(Outgoing(b"k", b'{"n":1}', partition=one) for one in partitions),
            *(Outgoing(b"k%d" % one, b"{}", partition=one) for one in partitions),
            Outgoing(b"s", a_document('é "1"'), STRUCTURED, partition=0),
            Outgoing(b"s", b"broken", STRUCTURED, partition=0),
            Outgoing(b"old", b"{}", partition=1, timestamp_ms=hour_ago_ms),
            Outgoing(b"h", b"{}", (*CLOUDEVENT, ("ce_id", b"e-77")), partition=2),
            *(Outgoing(b"o", b'{"about": "e-77"}', partition=2) for _ in range(20)),
        ]
    )
    by_key = operator.json("trace", "--key", "k")
    assert sorted(row["partition"] for row in by_key) == list(partitions)
    partition, offset = places[0]
    [placed] = operator.json("trace", f"{site.events}-{partition}-{offset}")
    assert (placed["partition"], placed["offset"]) == (partition, offset)
    [document] = operator.json("trace", 'é "1"')
    assert (document["event_type"], document["key"]) == ("order.paid", "s")
    [way] = document["subscriptions"]
    assert (way["subscription"], way["fate"]) == ("billing", "not-settled")
    assert "has committed nothing" in way["why"]
    # Others speak of it in their data.
    [in_a_header] = operator.json("trace", "e-77", "--limit", "1")
    assert in_a_header["key"] == "h"
    newest = operator.json("trace", "--key", "s", "--limit", "1")
    assert "Only the newest 1 events are shown" in operator.err
    assert "not a JSON object" in newest[0]["unreadable"]
    assert newest[0]["dead_letter"].endswith(f":{newest[0]['offset']}")
    [old] = operator.json("trace", "--key", "old", "--since", "2d")
    assert old["key"] == "old"

    operator("trace", "--key", "old", exits=1)
    assert f"No event of key old in {site.events} since 24h" in operator.err
    for unknown in (f"{site.events}-0-999", "msg_" + "0" * 32):
        operator("trace", unknown, exits=1)
    operator("trace", "e", "--subscription", "nobody", exits=2)
    operator("trace", "e", "--key", "k", exits=2)
    operator("trace", "e", "--topic", "nowhere", exits=2)
    assert "There is no topic nowhere" in operator.err


def test_a_webhooks_id_and_a_redrive(site: Site, operator: Operator) -> None:
    """A customer's `webhook-id` leads to the event; a dead letter that a redrive has delivered
    since is delivered."""
    site.subscribe("billing", "https://h.example/", uid="u")
    [(partition, offset)] = site.publish_numbers(["c-1"])
    admin = KafkaAdmin(KafkaAccess(site.kafka.bootstrap_servers))
    place = (admin.topic_ids([site.events])[site.events], partition)
    live = LaneNamer(f"{site.prefix}-fanout", "billing", "u", *place)
    redriven = LaneNamer(f"{site.prefix}-fanout", "billing", "u", *place, "run-1").lane(b"c-1")
    now_ms = time.time_ns() // 1_000_000
    at = {"webhook_id": live.webhook_id(offset), "topic": site.events, "partition": partition}
    failed = an_attempt(live.lane(b"c-1"), offset, now_ms - 9000, **at)
    letter = a_letter(live.lane(b"c-1"), offset, now_ms - 5000, webhook_id=at["webhook_id"])
    produce(site.kafka, site.names.attempts, [stored_attempt(failed)])
    produce(site.kafka, site.names.dead_letters, [stored_letter(letter)])

    [dead] = operator.json("trace", live.webhook_id(offset))
    [way] = dead["subscriptions"]
    assert (way["fate"], way["dead_letter"]["reason"]) == ("dead-letter", "exhausted")
    again = {"run": "run-1", "outcome": "delivered", "status": 200, **at}
    attempt = an_attempt(redriven, offset, now_ms, **again)
    produce(site.kafka, site.names.attempts, [stored_attempt(attempt)])
    [mended] = operator.json("trace", "--key", "c-1")
    assert [way["fate"] for way in mended["subscriptions"]] == ["delivered"]
    table = operator("trace", "--key", "c-1")
    assert f"{site.events} partition {partition} offset {offset}, key c-1" in table
    assert "run-1" in table
