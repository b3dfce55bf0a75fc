"""The services of examples/publish-from-…, with their own libraries, on a real Kafka."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest

from hooklane.producer import AsyncEventPublisher
from tests.kafka.broker import Kafka, free_ports
from tests.kafka.records import create_topic, read_topic
from tests.support.pages import ROOT, every_block, page, put_into

EXAMPLES = ROOT / "examples"


@contextmanager
def service(example: str, kafka: Kafka, topic: str, *command: str) -> Iterator[int]:
    """Runs it in its folder while this is open; gives its port."""
    [port] = free_ports(1)
    environ = {
        **os.environ,
        "KAFKA": kafka.bootstrap_servers,
        "TOPIC": topic,
        "PORT": str(port),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    arguments = [sys.executable, *command]
    if "uvicorn" in command:
        arguments += ["--port", str(port)]
    process = subprocess.Popen(arguments, cwd=EXAMPLES / example, env=environ)
    try:
        yield port
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(30)


def posted(port: int, path: str, document: object, **headers: str) -> tuple[int, dict[str, Any]]:
    """Its answer, once it listens."""
    deadline = time.monotonic() + 60
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(
                "POST", path, json.dumps(document), {"content-type": "application/json", **named}
            )
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        finally:
            connection.close()


@pytest.fixture
def topic(kafka: Kafka, prefix: str) -> str:
    return create_topic(kafka, f"{prefix}.orders.events", 2)


def only_event(kafka: Kafka, topic: str) -> tuple[bytes | None, object, Mapping[str, str]]:
    [record] = read_topic(kafka, topic)
    headers = {name: (value or b"").decode() for name, value in record.headers}
    return record.key, json.loads(record.value or b""), headers


def test_rest(kafka: Kafka, topic: str) -> None:
    """202 with the id of the event that is in Kafka; a caller's idempotency key is that id."""
    order = {"order": "o-1", "amount": 120}
    with service("publish-from-rest", kafka, topic, "-m", "uvicorn", "orders_rest:app") as port:
        assert posted(port, "/orders", order, idempotency_key="k-1") == (202, {"event": "k-1"})
        assert posted(port, "/orders", {"order": "o-1"})[0] == 422
    key, data, headers = only_event(kafka, topic)
    assert (key, data) == (b"o-1", order)
    assert (headers["ce_id"], headers["ce_type"]) == ("k-1", "order.paid")


def test_graphql(kafka: Kafka, topic: str) -> None:
    """The mutation's answer is the id of the event that is in Kafka; a failure is an error."""
    query = "mutation { pay(order: %s, amount: 120) }"
    example = "publish-from-graphql"
    with service(example, kafka, topic, "-m", "uvicorn", "orders_graphql:app") as port:
        status, told = posted(port, "/graphql/", {"query": query % '"o-1"'})
        too_large = json.dumps("x" * 2_000_000)
        failed = posted(port, "/graphql/", {"query": query % too_large})[1]
    key, data, headers = only_event(kafka, topic)
    assert (status, told["data"]["pay"]) == (200, headers["ce_id"])
    assert (key, data) == (b"o-1", {"order": "o-1", "amount": 120})
    assert "MSG_SIZE_TOO_LARGE" in failed["errors"][0]["message"]


def test_grpc(kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply has the id of the event that is in Kafka; one that was given is kept."""
    import grpc  # noqa: PLC0415 - takes a while, and only here

    monkeypatch.syspath_prepend(str(EXAMPLES / "publish-from-grpc"))
    messages, services = grpc.protos_and_services("orders.proto")
    with (
        service("publish-from-grpc", kafka, topic, "orders_grpc.py") as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        payment = messages.Payment(order="o-1", amount=120, event_id="e-1")
        stub = services.OrdersStub(channel)
        assert stub.Pay(payment, timeout=60, wait_for_ready=True).event_id == "e-1"
    key, data, headers = only_event(kafka, topic)
    assert (key, data) == (b"o-1", {"order": "o-1", "amount": 120})
    assert (headers["ce_id"], headers["ce_type"]) == ("e-1", "order.paid")


async def test_what_they_have_in_common(kafka: Kafka, topic: str) -> None:
    """The function of docs/choosing.md publishes, and gives the event's id."""
    [program] = every_block(page("docs/choosing.md"), "python")
    names: dict[str, Any] = {}
    exec(put_into(program, {"orders.events": topic}), names)  # noqa: S102 - it is our own page
    async with AsyncEventPublisher(
        {"bootstrap.servers": kafka.bootstrap_servers}, source="/orders"
    ) as publisher:
        told = await names["paid"](publisher, "o-1", 120)
    key, data, headers = only_event(kafka, topic)
    assert (key, data) == (b"o-1", {"order": "o-1", "amount": 120})
    assert headers["ce_id"] == told
