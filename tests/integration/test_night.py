"""A night: three customers have not got an order's events, each for another reason.

From the customer's name and the order's number alone the command line says why, and so does the
console; then each is mended, and everything arrives in order.
"""

import html
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kafka.records import Outgoing
from tests.support.console_client import logged_in, page
from tests.support.operator_commands import Operator
from tests.support.processes import ServiceProcess
from tests.support.receiver_tls import DAY, NOW, Authority
from tests.support.site import SECRET, Site
from tests.support.webhook_sink import OK, Answer, Hit, WebhookSink

SCHEDULE = ["2s"] * 60
ORDER = "order-1001"
STEPS = ("created", "paid", "shipped")


@pytest.fixture
def operator(
    fast: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Operator:
    return Operator(fast, monkeypatch, capsys)


def an_event(order: str, step: str, amount: int = 50) -> Outgoing:
    """As a publisher writes it: CloudEvents in binary mode."""
    attributes = {
        "ce_specversion": b"1.0",
        "ce_id": f"{order}-{step}".encode(),
        "ce_source": b"/shop",
        "ce_type": f"order.{step}".encode(),
        "content-type": b"application/json",
    }
    body = json.dumps({"amount": amount, "step": step}).encode()
    return Outgoing(order.encode(), body, tuple(attributes.items()))


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def expired(authority: Authority, tmp_path: Path) -> Iterator[WebhookSink]:
    with WebhookSink(tls=authority.issue("127.0.0.1", NOW - DAY).server(tmp_path)) as sink:
        yield sink


def steps_of(hits: Sequence[Hit]) -> list[str]:
    """The order's steps as they were accepted."""
    return [json.loads(hit.body)["step"] for hit in hits if hit.key == ORDER]


def fates(rows: Sequence[Any]) -> list[str]:
    return [row["subscriptions"][0]["fate"] for row in rows]


@pytest.mark.timeout(120)
def test_why_has_this_customer_not_got_this_event(
    fast: Site,
    sink: WebhookSink,
    expired: WebhookSink,
    authority: Authority,
    operator: Operator,
    tmp_path: Path,
) -> None:
    """A 500 for one key, an expired certificate, a filter: each cause is found, mended, and the
    order's events have arrived in their order."""
    sick = {ORDER}
    accepted: list[Hit] = []

    def answer(hit: Hit) -> Answer:
        if hit.path == "/acme" and hit.key in sick:
            return Answer(500, (("set-cookie", "session=s3cret"),), b"no such customer")
        accepted.append(hit)
        return OK

    sink.answer = answer
    retry = {"schedule": SCHEDULE}
    signed = {"retry": retry, "signing": {"secrets": [SECRET]}}
    fast.subscribe("acme-orders", sink.url("acme"), tenant="acme", **signed)
    fast.subscribe("globex-orders", expired.url("globex"), tenant="globex", retry=retry)
    filters = {"filters": [{"cel": "data.amount > 100"}]}
    fast.subscribe("initech-orders", sink.url("initech"), tenant="initech", match=filters)
    (tmp_path / "authority.pem").write_bytes(authority.pem)
    environment = fast.environment(
        RETRIER__SPOOL_DIR=str(tmp_path / "spool"),
        DELIVERY__CA_FILE=str(tmp_path / "authority.pem"),
        FANOUT__TOPICS=json.dumps([fast.events]),
    )
    with (
        ServiceProcess("fanout", environment) as fanout,
        ServiceProcess("retrier", environment) as retrier,
    ):
        fanout.wait_ready()
        retrier.wait_ready()
        fast.publish(an_event(order, step) for order in (ORDER, "order-7") for step in STEPS)
        retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 9)
        retrier.wait_for(lambda: len(fast.attempts()) >= 8)

        assert "Nothing is wrong" in _err(operator, "doctor")
        _acme(operator)
        _globex(operator)
        _initech(operator)
        with in_the_console(environment) as pages:
            for tenant, words in IN_A_BROWSER.items():
                assert words in trail(pages, tenant)

        sick.clear()
        assert expired.tls is not None
        authority.issue("127.0.0.1", NOW + DAY).load(expired.tls, tmp_path)
        fast.subscribe("initech-orders", sink.url("initech"), tenant="initech")
        retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 0, 30.0)
        mended = operator.json("trace", "--key", ORDER)
        assert [
            {one["subscription"]: one["fate"] for one in row["subscriptions"]} for row in mended
        ] == [
            {
                "acme-orders": "delivered",
                "globex-orders": "delivered",
                "initech-orders": "unknown",
            }
        ] * 3
        fast.publish([an_event(ORDER, "returned")])
        sink.wait_for(lambda: any(hit.path == "/initech" for hit in accepted))
        sink.wait_for(lambda: len(steps_of(expired.of("globex"))) == 4)
        _signature(operator, sink.of("acme")[-1], tmp_path)
        assert (fanout.terminate(), retrier.terminate()) == (0, 0)
    arrived = [*STEPS, "returned"]
    assert steps_of([hit for hit in accepted if hit.path == "/acme"]) == arrived
    assert steps_of(expired.of("globex")) == arrived


TOKEN = "a-token-of-this-night-0123"
IN_A_BROWSER = {
    "acme": "the receiver answered 500",
    "globex": "certificate has expired",
    "initech": "wants cel (data.amount > 100)",
}


@contextmanager
def in_the_console(environment: dict[str, str]) -> Iterator[httpx.Client]:
    """Somebody who has logged in there."""
    told = {
        **environment,
        "HOOKLANE_CONSOLE__PORT": "0",
        "HOOKLANE_CONSOLE__TOKEN": TOKEN,
    }
    with ServiceProcess("console", told) as console:
        console.wait_ready()
        with logged_in(console, TOKEN) as client:
            yield client
        assert console.terminate() == 0


def trail(client: httpx.Client, tenant: str) -> str:
    """What its page of an event's way says of the order's events for this customer."""
    return html.unescape(page(client, f"/trace?key={ORDER}&tenant={tenant}"))


def _signature(operator: Operator, hit: Hit, folder: Path) -> None:
    """What the receiver's developer has before him: genuine, and not after his framework."""
    (folder / "headers").write_text(json.dumps(hit.headers))
    (folder / "body").write_bytes(hit.body)
    (folder / "parsed").write_text(json.dumps(json.loads(hit.body), indent=2))
    given = ("verify", "--headers", str(folder / "headers"), "--subscription", "acme-orders")
    assert operator.json(*given, "--body", str(folder / "body"))["genuine"]
    out = operator(*given, "--body", str(folder / "parsed"), "--output", "json", exits=1)
    assert json.loads(out)["cause"] == "body-reserialised"


def _err(operator: Operator, *arguments: str) -> str:
    operator(*arguments)
    return operator.err


def _acme(operator: Operator) -> None:
    """The first event is refused with a 500, and the others wait behind it."""
    rows = operator.json("trace", "--key", ORDER, "--tenant", "acme")
    assert [row["event_id"] for row in rows] == [f"{ORDER}-{step}" for step in STEPS]
    assert fates(rows) == ["waits"] * 3
    ways = [row["subscriptions"][0] for row in rows]
    assert [way["waiting"]["before"] for way in ways] == [0, 1, 2]
    assert all("answered 500" in way["why"] for way in ways)
    assert f"behind task {rows[0]['offset']} ({ORDER}-created)" in ways[2]["why"]
    [last] = operator.json(
        "attempts", "--subscription", "acme-orders", "--key", ORDER, "--limit", "1"
    )
    assert (last["status"], last["response"]) == (500, "no such customer")
    assert "set-cookie: [redacted]" in last["response_headers"]
    well = operator.json("trace", "order-7-paid", "--subscription", "acme-orders")
    assert fates(well) == ["delivered"]


def _globex(operator: Operator) -> None:
    """Nothing gets there: the attempt says whose certificate it is about."""
    rows = operator.json("trace", "--key", ORDER, "--tenant", "globex")
    assert fates(rows) == ["waits"] * 3
    assert all("certificate has expired" in row["subscriptions"][0]["why"] for row in rows)


def _initech(operator: Operator) -> None:
    """Nothing went wrong: the filter says no, and for which value."""
    [row, *_] = operator.json("trace", "--key", ORDER, "--tenant", "initech")
    [way] = row["subscriptions"]
    assert (way["fate"], way["attempts"]) == ("not-matched", [])
    assert way["objection"] == {
        "path": "match.filters[0]",
        "dialect": "cel",
        "wants": "wants cel (data.amount > 100)",
        "has": "data.amount = 50",
    }
    assert row["settled"] is True
    table = operator("trace", f"{ORDER}-paid")
    assert "initech" not in table
    assert "do not match: 1;" in operator.err
