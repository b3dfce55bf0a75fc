"""What the services send is what `hooklane listen` takes: request builder, signer, listener."""

import json
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from hooklane.delivery.request import AttemptFacts, Destination, build, custom_lines
from hooklane.delivery.signing import signer
from hooklane.schemas.decode import decode
from hooklane.schemas.event import Event, SourceRecord
from tests.integration.test_listen_command import SECRET, Listener

HEADERS = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e 1"),
    ("ce_source", b"/billing"),
    ("ce_type", "Zahlung eingegangen: 100 % fällig".encode()),
    ("content-type", b"application/json"),
)


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize(("scheme", "secret"), [("standard", SECRET), ("github", "it's a secret")])
def test_a_delivery_is_taken_as_genuine(mode: str, scheme: str, secret: str) -> None:
    """In both payload modes and by both schemes the listener verifies it and reads it alike."""
    event = decode(
        SourceRecord("t", "ab" * 16, 0, 41, 5, "Zürich".encode(), b'{"amount": 12.30}', HEADERS)
    )
    assert isinstance(event, Event)
    with Listener("--scheme", scheme, "--secret", secret, "--output", "json") as listener:
        url = f"http://127.0.0.1:{listener.port}/hooks/billing"
        request = build(
            event,
            AttemptFacts("msg_1", 41, 2, "", int(time.time())),
            Destination(url, mode, custom_lines({}), 5, 5),
            signer(scheme, (secret.encode(),)),
        )
        connection = HTTPConnection("127.0.0.1", listener.port, timeout=20)
        connection.request(
            request.method, urlsplit(request.url).path, request.body, dict(request.headers)
        )
        status = connection.getresponse().status
        connection.close()
        row = listener.row()
    assert (status, row["verified"], row["cause"]) == (204, True, None)
    assert (row["webhook_id"], row["sequence"], row["attempt"]) == ("msg_1", 41, 2)
    assert row["type"] == "Zahlung eingegangen: 100 % fällig"
    assert (row["key"], row["source"], row["order"]) == ("Zürich", "/billing", "next")
    body = json.loads(row["body"])
    assert (body if mode == "binary" else body["data"]) == {"amount": 12.3}
