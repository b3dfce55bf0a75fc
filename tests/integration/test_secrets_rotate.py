"""`hooklane secrets rotate` on the documents in force, on a real Kafka."""

import base64
import json

import pytest

from hooklane.ops.main import run
from hooklane.runtime.secrets_enc import EncryptionKeys
from hooklane.schemas.book import status_key, status_record
from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing, create_topic, produce, read_topic

OLD, NEW = (bytes([n]) * 32 for n in (1, 2))


def test_documents_in_force_are_rotated(
    kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is written once more with the same secret; one that a 410 disabled is left and told,
    since a newer document would enable it again."""
    keys = [base64.b64encode(key).decode() for key in (NEW, OLD)]
    monkeypatch.setenv("HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("HOOKLANE_TOPICS__PREFIX", prefix)
    monkeypatch.setenv("HOOKLANE_SECRETS__ENCRYPTION_KEYS", json.dumps(keys))
    topic = create_topic(kafka, f"{prefix}.subscriptions", config={"cleanup.policy": "compact"})
    for name in ("gone", "here"):
        secret = EncryptionKeys([OLD]).encrypt(name.encode())
        document = {"id": name, "url": "https://a.example/", "signing": {"secrets": [secret]}}
        [(_, offset)] = produce(kafka, topic, [record(name.encode(), json.dumps(document))])
        if name == "gone":
            key, value = status_record(name, offset, "410", "2026-11-26T00:00:00Z")
            assert key == status_key(name)
            produce(kafka, topic, [Outgoing(key, value, partition=0)])
    assert run(["secrets", "rotate", "--output", "json"]) == 1
    told = {row["place"]: row["done"] for row in json.loads(capsys.readouterr().out)}
    assert told == {"gone": "left: disabled by 410", "here": "rotated"}
    *_, last = read_topic(kafka, topic)
    assert last.key == b"here"
    [reference] = json.loads(last.value or b"")["signing"]["secrets"]
    assert EncryptionKeys([NEW]).decrypt(reference) == b"here"


def record(key: bytes, value: str) -> Outgoing:
    return Outgoing(key, value.encode(), partition=0)
