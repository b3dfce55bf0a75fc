"""Every kind of authentication, through a real fan-out and, after a failure, a real retrier."""

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooklane.schemas.codec import ATTEMPTS
from hooklane.schemas.records import DeadLetterReason
from tests.support.receiver_tls import Authority, Issued
from tests.support.site import Site
from tests.support.webhook_sink import OK, Answer, Hit, WebhookSink

SECRETS = {
    "token": b"t0k3n-of-may",
    "password": b"open sesame",
    "key": b"k3y-of-november",
    "client": b"cl1ent-s3cret",
}
GIVEN = b"acc3ss-t0k3n"
ORIGIN = "events.us.example"


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def mine(authority: Authority) -> Issued:
    return authority.issue("me")


@pytest.fixture
def vault(tmp_path: Path, authority: Authority, mine: Issued) -> Path:
    """The folder of secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    files = {**SECRETS, "cert": mine.pem, "cert-key": mine.key_pem, "ca": authority.pem}
    for name, value in files.items():
        (folder / name).write_bytes(value)
    return folder


@pytest.fixture
def secure(authority: Authority, tmp_path: Path) -> Iterator[WebhookSink]:
    """A receiver that wants a client certificate."""
    context = authority.issue("127.0.0.1").server(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.pem.decode())
    with WebhookSink(tls=context) as found:
        yield found


def once_refused(hit: Hit) -> Answer:
    """The first attempt fails; a token, or a permission, whenever one is asked for."""
    if hit.path == "/token":
        return Answer(200, body=json.dumps({"access_token": GIVEN.decode()}).encode())
    if hit.method == "OPTIONS":
        return Answer(200, (("webhook-allowed-origin", hit.headers["webhook-request-origin"]),))
    if hit.headers["hooklane-attempt"] != "1":
        return OK
    return Answer(500, body=b"you said " + hit.headers.get("authorization", "-").encode())


def test_each_kind_through_the_fan_out_and_the_retrier(
    sink: WebhookSink, secure: WebhookSink, fast: Site, vault: Path, mine: Issued, tmp_path: Path
) -> None:
    """A first attempt by the fan-out and a second one by the retrier each show who we are, in
    every way that a document can ask for; no secret is in a log or on a topic."""
    sink.answer = secure.answer = once_refused
    oauth2 = {
        "token_url": sink.url("token"),
        "client_id": "us",
        "client_secret": "file:client",
    }
    asked: dict[str, dict[str, object]] = {
        "bearer": {"auth": {"bearer": {"token": "file:token"}}},
        "basic": {"auth": {"basic": {"username": "us", "password": "file:password"}}},
        "header": {"auth": {"header": {"name": "X-Key", "value": "file:key"}}},
        "oauth2": {"auth": {"oauth2": oauth2}},
        "handshake": {"delivery": {"handshake": True}},
        "httpx": {"auth": {"bearer": {"token": "file:token"}}, "delivery": {"engine": "httpx"}},
        "template": {"payload": {"mode": "template", "template": '{"n": {{ data.n | json }}}'}},
    }
    for name, fields in asked.items():
        fast.subscribe(name, sink.url(name), **fields)
    mtls = {"certificate": "file:cert", "key": "file:cert-key"}
    certified = {"auth": {"mtls": mtls}, "delivery": {"ca": "file:ca"}}
    fast.subscribe("mtls", secure.url("mtls"), **certified)
    broken = {"mode": "template", "template": "{{ data.missing }}"}
    fast.subscribe("broken", sink.url("broken"), payload=broken)
    settings = {"SECRETS__DIR": str(vault), "DELIVERY__ORIGIN": ORIGIN}
    with (
        fast.fanout(**settings) as fanout,
        fast.retrier(RETRIER__SPOOL_DIR=str(tmp_path / "spool"), **settings) as retrier,
    ):
        fanout.wait_ready()
        retrier.wait_ready()
        fast.publish_numbers(["k"])
        sink.wait_for(lambda: all(len(posts(sink, name)) == 2 for name in asked))
        secure.wait_for(lambda: len(posts(secure, "mtls")) == 2)
        fanout.wait_for(lambda: len(fast.dead_letters()) == 1)
        assert fanout.terminate() == 0
        assert retrier.terminate() == 0
        logs = fanout.log() + retrier.log()
    basic = base64.b64encode(b"us:" + SECRETS["password"])
    for name, header, value in (
        ("bearer", "authorization", b"Bearer " + SECRETS["token"]),
        ("basic", "authorization", b"Basic " + basic),
        ("header", "x-key", SECRETS["key"]),
        ("oauth2", "authorization", b"Bearer " + GIVEN),
        ("httpx", "authorization", b"Bearer " + SECRETS["token"]),
    ):
        assert [hit.headers[header].encode() for hit in posts(sink, name)] == [value] * 2
    assert {int(hit.client, 16) for hit in posts(secure, "mtls")} == {
        mine.certificate.serial_number
    }
    assert len(sink.of("token")) == 2
    assert [hit.method for hit in sink.of("handshake")] == ["OPTIONS", "POST"] * 2
    assert {hit.headers.get("webhook-request-origin") for hit in sink.of("handshake")} == {
        ORIGIN,
        None,
    }
    assert [hit.body for hit in posts(sink, "template")] == [b'{"n": 0}'] * 2
    (letter,) = fast.dead_letters()
    assert (letter.subscription, letter.reason) == ("broken", DeadLetterReason.REFUSED)
    assert "data.missing is undefined" in letter.detail
    assert sink.of("broken") == []
    told = b"".join(map(ATTEMPTS.encode, fast.attempts()))
    assert b"you said Bearer [redacted]" in told
    for secret in (*SECRETS.values(), GIVEN, basic):
        assert secret not in told
        assert secret.decode() not in logs


def posts(sink: WebhookSink, name: str) -> list[Hit]:
    """The deliveries of one subscription."""
    return [hit for hit in sink.of(name) if hit.method == "POST"]


def test_a_rate_limit_is_kept_and_delays_nobody_else(sink: WebhookSink, fast: Site) -> None:
    """Section 6: no second sees more attempts than the limit, what is over it waits in the
    backlog, and a subscription without a limit gets everything at once."""
    fast.subscribe("limited", sink.url("limited"), delivery={"rate_limit": "10/s"})
    fast.subscribe("free", sink.url("free"))
    keys = [f"k{number}" for number in range(60)]
    with fast.fanout() as fanout:
        fanout.wait_ready()
        fast.publish_numbers(keys)
        sink.wait_for(lambda: len(sink.of("free")) == 60, seconds=10)
        fanout.wait_for(lambda: fanout.metric("hooklane_redirects_total") > 0)
        sink.wait_for(lambda: len(sink.of("limited")) + len(fast.tasks()) == 60)
        assert fanout.terminate() == 0
    at = [hit.at for hit in sink.of("limited")]
    assert 1 < len(at) < 40
    assert at[-1] - at[0] >= (len(at) - 1) * 0.08
