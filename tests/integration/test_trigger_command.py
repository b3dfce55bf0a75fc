"""`hooklane trigger` against a real broker."""

import json

import pytest

from hooklane.ops.main import run
from hooklane.schemas.avro_reader import AvroReader
from hooklane.schemas.event_types_read import read_event_types
from hooklane.schemas.single_object import MARKER
from tests.integration.test_publish_command import event_of
from tests.kafka.broker import Kafka
from tests.kafka.records import create_topic, read_topic
from tests.support.catalog_facts import SCHEMAS, the_catalog


def test_samples_are_published(
    kafka: Kafka,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As CloudEvents of the type, under one key, each an event of its own, with what was set; a
    topic that is not there is said."""
    monkeypatch.setenv("HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    topic = create_topic(kafka, f"{prefix}.events")
    asked = ["trigger", "invoice.paid.v2", "--schemas", str(SCHEMAS), "-o", "json"]
    told = ["--topic", topic, "--key", "i-1", "--set", "amount.value=9.00", "--count", "3"]
    assert run([*asked, *told]) == 0
    rows = json.loads(capsys.readouterr().out)
    events = [event_of(one) for one in read_topic(kafka, topic)]
    assert [one.attributes["id"] for one in events] == [row["id"] for row in rows]
    assert len({row["id"] for row in rows}) == 3
    for event in events:
        assert event.attributes["type"] == "invoice.paid.v2"
        assert (event.key, event.content_type) == (b"i-1", "application/json")
        assert json.loads(event.data)["amount"] == {"value": "9.00", "currency": "EUR"}
    assert run([*asked, "--topic", f"{prefix}.nowhere"]) == 1
    assert f"There is no topic {prefix}.nowhere" in capsys.readouterr().err


def test_an_avro_type_is_published_as_avro(
    kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In single-object encoding, and receivers get of it the very sample that the catalog shows;
    or as JSON if asked."""
    monkeypatch.setenv("HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    topic = create_topic(kafka, f"{prefix}.events")
    asked = ["trigger", "order.shipped", "--schemas", str(SCHEMAS), "--topic", topic]
    assert run(asked) == 0
    assert run([*asked, "--json"]) == 0
    avro, plain = read_topic(kafka, topic)
    types = read_event_types(SCHEMAS)
    schema = types.get("order.shipped")
    assert schema is not None
    assert schema.avro is not None
    assert avro.value is not None
    assert avro.value.startswith(MARKER + schema.avro.fingerprint)
    assert dict(avro.headers)["content-type"] == b"application/avro"
    sample = the_catalog().by_name()["order.shipped"].samples[0].data
    event = event_of(avro, reader=AvroReader(types, None))
    event.become_json()
    assert (event.content_type, json.loads(event.data)) == ("application/json", sample)
    assert json.loads(plain.value or b"") == sample
