"""`hooklane console` in a real Chromium, on a real Kafka with both services at work.

One night for all of it: a receiver that refuses one key, one that is well, one whose subscription
gives up at once; and attempts of the last hour for the charts.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser

from hooklane.delivery.signing.verify import Verified, Verifier
from hooklane.schemas.records import AttemptOutcome
from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing, produce
from tests.support.chromium import ChromiumUnavailableError
from tests.support.console_client import logged_in, page
from tests.support.console_pages import Tab, chromium
from tests.support.operator_facts import MINUTE_MS, an_attempt, lane_id, stored_attempt
from tests.support.processes import ServiceProcess
from tests.support.site import SECRET, Site, make_site
from tests.support.webhook_sink import Answer, WebhookSink

TOKEN = "a-token-of-the-tests-0123"
SIGNING = {"signing": {"scheme": "standard", "secrets": [SECRET]}}


@dataclass
class Night:
    """What is there when the browser comes."""

    site: Site
    sink: WebhookSink
    console: ServiceProcess
    retrier: ServiceProcess
    refused: set[str]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.console.port()}"


def an_event(key: str, number: int) -> Outgoing:
    attributes = {
        "ce_specversion": b"1.0",
        "ce_id": f"{key}-{number}".encode(),
        "ce_source": b"/shop",
        "ce_type": b"order.paid",
        "content-type": b"application/json",
    }
    body = json.dumps({"order": key, "amount": 100 + number}).encode()
    return Outgoing(key.encode(), body, tuple(attributes.items()))


def past_attempts(now_ms: int) -> Iterator[Outgoing]:
    """One every fifteen seconds of the last hour, of which every ninth failed."""
    for number in range(240):
        well = number % 9 > 0
        facts = {
            "subscription": "shop-orders",
            "event_id": f"past-{number}",
            "outcome": AttemptOutcome.DELIVERED if well else AttemptOutcome.FAILED,
            "status": 204 if well else 503,
            "reason": "status",
            "detail": f"the receiver answered {204 if well else 503}",
            "duration_ms": 20.0 + number % 60,
        }
        at_ms = now_ms - 60 * MINUTE_MS + number * 15_000
        yield stored_attempt(an_attempt(lane_id(number), number, at_ms, **facts))


@pytest.fixture(scope="module")
def night(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    site = make_site(kafka, f"con-{uuid4().hex[:8]}", tiers=("1s", "30m"))
    refused = {"order-1001"}
    with WebhookSink() as sink:
        sink.answer = lambda hit: Answer(
            500 if hit.key in refused or hit.path == "/gone" else 204,
            (("x-request-id", "r-1"), ("set-cookie", "s=3")),
            b"no such customer" if hit.key in refused else b"",
        )
        site.subscribe("shop-orders", sink.url("shop"), tenant="acme", **SIGNING)
        site.subscribe("billing-invoices", sink.url("billing"), tenant="acme", retry=slow())
        site.subscribe("gone", sink.url("gone"), retry={"schedule": []})
        site.configure(b"broken", b'{"id":"broken"}')
        produce(kafka, site.names.attempts, past_attempts(time.time_ns() // 1_000_000))
        spool = str(tmp_path_factory.mktemp("spool"))
        with site.fanout() as fanout, site.retrier(RETRIER__SPOOL_DIR=spool) as retrier:
            fanout.wait_ready()
            retrier.wait_ready()
            site.publish(an_event(f"order-{1000 + n % 3}", n) for n in range(9))
            fanout.wait_for(lambda: fanout.metric("hooklane_dead_letters_total") == 9)
            retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 6)
            services = [f"http://127.0.0.1:{one.port()}" for one in (fanout, retrier)]
            environment = site.environment(
                CONSOLE__PORT="0", CONSOLE__TOKEN=TOKEN, CONSOLE__SERVICES=json.dumps(services)
            )
            with ServiceProcess("console", environment) as console:
                console.wait_ready()
                yield Night(site, sink, console, retrier, refused)
                assert console.terminate() == 0
                assert TOKEN not in console.log()


def slow() -> dict[str, list[str]]:
    """The second try comes after the test."""
    return {"schedule": ["30m", "30m"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as browser:
            yield browser
    except ChromiumUnavailableError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def tab(night: Night, browser: Browser, tmp_path: Path) -> Iterator[Tab]:
    """A browser that has come in as ada."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = Tab(context.new_page(), night.base, tmp_path, night.console.log)
    tab.go("/lanes?halted=yes")
    assert tab.path == "/login"
    tab.page.get_by_label("Your name").fill("ada")
    tab.page.get_by_label("Token").fill(TOKEN)
    tab.press("Log in")
    assert tab.page.url == f"{night.base}/lanes?halted=yes"
    yield tab
    context.close()
    assert (tab.foreign, tab.complaints) == ([], [])


def test_pages_show_one_tenants_subscriptions(night: Night) -> None:
    """Subscriptions, lanes, attempts and dead letters, and what a redrive would take; a tenant that
    has none is told."""
    with logged_in(night.console, TOKEN) as client:
        for path, others in (
            ("/?", "/subscriptions/gone"),
            ("/attempts?all=yes&", "/subscriptions/gone"),
            ("/dead-letters?state=all&", "/subscriptions/gone"),
        ):
            assert others in page(client, path)
            assert others not in page(client, f"{path}tenant=acme")
        assert "/subscriptions/billing-invoices" in page(client, "/?tenant=acme")
        assert "/subscriptions/billing-invoices" in page(client, "/attempts?all=yes&tenant=acme")
        assert "/subscriptions/billing-invoices" in page(client, "/lanes?tenant=acme")
        assert "<dt>tenant</dt><dd>acme</dd>" in page(client, "/redrive?tenant=acme")
        answer = client.get("/lanes?tenant=nobody")
        assert (answer.status_code, "of tenant nobody" in answer.text) == (400, True)


def first_lane(tab: Tab) -> str:
    tab.go("/lanes?subscription=billing-invoices")
    there = tab.page.locator("tbody a").first.get_attribute("href")
    assert there is not None
    return there


def test_every_page_is_read_by_everybody(tab: Tab) -> None:
    """Each page in both colour schemes without a finding of axe, none wider than a phone, and
    nothing is asked of another host nor against the policy."""
    lane = first_lane(tab)
    tab.go("/dead-letters?subscription=gone")
    letter = tab.page.locator("tbody a").first.get_attribute("href")
    tab.go("/attempts?subscription=billing-invoices&outcome=failed")
    attempt = tab.page.locator("tbody a").first.get_attribute("href")
    pages = {
        "subscriptions": "/",
        "subscription": "/subscriptions/shop-orders",
        "test-event": "/subscriptions/shop-orders/test",
        "attempts": "/attempts?since=3m",
        "attempt": attempt,
        "lanes": "/lanes?subscription=billing-invoices",
        "lane": lane,
        "dead-letters": "/dead-letters",
        "dead-letter": letter,
        "redrive": "/redrive?subscription=gone",
        "trace": "/trace?key=order-1001",
        "signature": "/signature",
        "audit": "/audit",
    }
    found: dict[str, object] = {}
    for name, path in pages.items():
        tab.go(path or "")
        wrong = [*tab.violations(), *tab.picture(name)]
        if wrong:
            found[name] = wrong
    tab.go("/attempts?key=order-1001&all=yes")
    assert "order-1001-1" in tab.text()
    tab.go("/attempts/0/99999999", 404)
    assert found == {}
    tab.complaints.clear()  # the browser's own word about the 404


def test_what_is_wrong_is_found_and_mended(night: Night, tab: Tab) -> None:
    """From the subscriptions to the lane, its attempt and its event; a lane is retried and skipped,
    dead letters are redriven, a test event arrives signed; all of it is in the audit under ada."""
    lane = first_lane(tab)
    tab.go("/")
    assert "billing-invoices" in tab.text()
    tab.go("/trace?key=order-1001&tenant=acme")
    assert "the receiver answered 500" in tab.text()

    before = len(night.sink.of("billing"))
    tab.go(lane)
    tab.page.get_by_text("Try its first delivery now").click()
    tab.page.locator("form[action$='/retry']").get_by_label("Why").fill("is it mended?")
    tab.press("Try it now")
    assert "is it mended?" in tab.text()
    night.sink.wait_for(lambda: len(night.sink.of("billing")) == before + 1)
    night.refused.clear()
    tab.go(lane)
    tab.page.get_by_text("Give up its first delivery").click()
    tab.page.locator("form[action$='/skip']").get_by_label("Why").fill("they have it by mail")
    tab.press("Give it up")
    night.sink.wait_for(lambda: len(night.sink.of("billing")) == before + 3)

    tab.go("/dead-letters?subscription=gone")
    night.sink.answer = lambda _hit: Answer(204)
    tab.page.get_by_role("link", name="Redrive: count what this selects").click()
    assert "Will be redriven\n9" in tab.text()
    tab.page.get_by_label("Why").fill("they are back")
    tab.press("Redrive 9")
    night.sink.wait_for(lambda: len(night.sink.of("gone")) >= 9 + 9)
    tab.wait_said("9 of 9 were redriven")

    tab.go("/subscriptions/shop-orders/test")
    tab.page.get_by_label("Why").fill("does it verify?")
    tab.press("Send it")
    night.sink.wait_for(lambda: any("test-" in hit.headers["ce-id"] for hit in night.sink.hits))
    hit = next(one for one in night.sink.hits if "test-" in one.headers["ce-id"])
    judged = Verifier([SECRET.encode()]).verify(hit.headers, hit.body, time.time())
    assert isinstance(judged, Verified)
    assert (hit.path, hit.body) == ("/shop", b'{"test": true}')

    tab.go("/audit?by=ada")
    rows = tab.page.locator("tbody tr").all_inner_texts()
    actions = ["console test-event", "redrive", "redrive", "lanes skip", "lanes retry"]
    assert all(word in row for word, row in zip(actions, rows, strict=True)), rows


def test_the_signature_helper_names_the_cause(night: Night, tab: Tab) -> None:
    """A body that was written anew, then as it came: the cause, and nothing of the secret after."""
    night.sink.wait_for(lambda: bool(night.sink.of("shop")))
    hit = night.sink.of("shop")[0]
    headers = "\n".join(f"{name}: {value}" for name, value in hit.headers.items())
    for body, cause in (
        (json.dumps(json.loads(hit.body), indent=2), "body-reserialised"),
        (hit.body.decode(), "genuine"),
    ):
        tab.go("/signature")
        tab.page.get_by_label("Headers as they came").fill(headers)
        tab.page.get_by_label("Body as it came").fill(body)
        tab.page.get_by_label("Secret of the receiver").fill(SECRET)
        tab.press("Judge")
        assert cause in tab.page.locator(".notice").inner_text()
        assert SECRET not in tab.page.content()
    assert SECRET not in night.console.log()
