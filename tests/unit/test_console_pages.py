"""The console as an ASGI application: the gate, forms, headers, and pages that need no Kafka."""

import time
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from hooklane.ops.console.app import console_app, status_of
from hooklane.ops.console.gate import COOKIE, POLICY
from hooklane.ops.console.login_pace import TRIES
from hooklane.ops.console.office import Office
from hooklane.ops.console.page_signature import as_pasted, judged
from hooklane.ops.console.serve import open_office
from hooklane.ops.lanes_read import NoSuchLaneError
from hooklane.runtime.errors import BrokerError, HooklaneError, UsageError
from hooklane.runtime.settings import Settings
from tests.support.operator_facts import an_attempt, lane_id
from tests.support.site import SECRET

TOKEN = "a-token-of-the-tests-0123"
BASE = "http://localhost:8085"
ORIGIN = {"origin": BASE, "sec-fetch-site": "same-origin"}


def office_of(**console: object) -> Office:
    """Nothing listens where its Kafka should be."""
    kafka = {"bootstrap_servers": "127.0.0.1:1"}
    settings = Settings.model_validate({"console": console, "kafka": kafka})
    given = settings.console.token
    return open_office(settings, None if given is None else given.get_secret_value())


def client_of(office: Office, peer: str = "127.0.0.1") -> TestClient:
    return TestClient(
        console_app(office), base_url=BASE, follow_redirects=False, client=(peer, 50_000)
    )


@pytest.fixture
def office() -> Office:
    return office_of(token=TOKEN)


@pytest.fixture
def stranger(office: Office) -> Iterator[TestClient]:
    with client_of(office) as client:
        yield client


@pytest.fixture
def ada(office: Office) -> Iterator[TestClient]:
    """Somebody who has logged in by the form."""
    with client_of(office) as client:
        log_in(client, TOKEN)
        yield client


def log_in(client: TestClient, token: str, **fields: str) -> int:
    form = {"form_token": token_in(client, "/login", "/login"), "token": token, "name": "ada"}
    return client.post("/login", data=form | fields, headers=ORIGIN).status_code


def token_in(client: TestClient, page: str, action: str) -> str:
    """The token of the page's form for this action."""
    text = client.get(page).text
    form = text[text.index(f'action="{action}"') :]
    return form.partition('name="form_token" value="')[2].partition('"')[0]


PATHS = (
    "/",
    "/subscriptions/a",
    "/subscriptions/a/test",
    "/attempts",
    "/attempts/0/1",
    "/lanes",
    "/lanes/00000000",
    "/dead-letters",
    "/dead-letters/x",
    "/redrive",
    "/redrives/x",
    "/trace",
    "/signature",
    "/audit",
    "/nowhere",
)
DEEDS = (
    "/lanes/retry",
    "/lanes/00000000/retry",
    "/lanes/00000000/skip",
    "/redrive",
    "/redrives/x/stop",
    "/subscriptions/a/test",
)


@pytest.mark.parametrize("path", PATHS)
def test_nobody_sees_a_page_without_coming_in(stranger: TestClient, path: str) -> None:
    """Each leads to the login, which knows where to go on; a forged cookie changes nothing."""
    for cookie in (None, "forged", "WyJhZGEiLCJ4Il0.aaaa.bbbb"):
        stranger.cookies.clear()
        if cookie is not None:
            stranger.cookies.set(COOKIE, cookie)
        answer = stranger.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].partition("?")[0] == "/login"


@pytest.mark.parametrize("path", [*DEEDS, "/signature", "/logout"])
def test_nobody_does_anything_without_coming_in(stranger: TestClient, path: str) -> None:
    """Every form is refused before it is read."""
    assert stranger.post(path, data={"why": "x"}, headers=ORIGIN).status_code == 403


@pytest.mark.parametrize("path", ["/login", "/", "/static/console.css", "/healthz", "/nowhere"])
def test_every_response_says_what_may_be_loaded(stranger: TestClient, path: str) -> None:
    """Only this host's styles and pictures, no script at all, no frame, no guessing of types."""
    headers = stranger.get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert "default-src 'none'" in POLICY
    assert "frame-ancestors 'none'" in POLICY
    assert "script" not in POLICY
    assert "unsafe" not in POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_cookie_is_kept_from_scripts_and_other_sites(stranger: TestClient) -> None:
    """HttpOnly, SameSite=Strict, for half a day; Secure where browsers come by https; the token is
    not in it."""
    form = {"form_token": token_in(stranger, "/login", "/login"), "token": TOKEN}
    cookie = stranger.post("/login", data=form, headers=ORIGIN).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert TOKEN not in cookie
    office = office_of(token=TOKEN, public_url="https://hooklane.example.com")
    with client_of(office) as client:
        form = {"form_token": token_in(client, "/login", "/login"), "token": TOKEN}
        origin = {"origin": "https://hooklane.example.com"}
        answer = client.post("/login", data=form, headers=origin)
        assert "Secure" in answer.headers["set-cookie"]


def test_the_login_goes_on_where_it_was_asked_for(stranger: TestClient) -> None:
    """Behind the form comes the page that was wanted, and never one of another host."""
    answer = stranger.get("/lanes?halted=yes")
    assert answer.headers["location"] == "/login?next=%2Flanes%3Fhalted%3Dyes"
    for wanted, there in (("/lanes?halted=yes", "/lanes?halted=yes"), ("//evil", "/")):
        stranger.cookies.clear()
        form = {"form_token": token_in(stranger, "/login", "/login"), "token": TOKEN}
        answer = stranger.post("/login", data=form | {"next": wanted}, headers=ORIGIN)
        assert (answer.status_code, answer.headers["location"]) == (303, there)


def test_wrong_tokens_are_refused_and_then_not_even_tried(stranger: TestClient) -> None:
    """After five the right one has to wait too, and is told for how long."""
    assert [log_in(stranger, "wrong") for _ in range(TRIES)] == [403] * TRIES
    assert log_in(stranger, TOKEN) == 429
    form = {"form_token": token_in(stranger, "/login", "/login"), "token": TOKEN}
    answer = stranger.post("/login", data=form, headers=ORIGIN)
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_a_form_is_taken_from_its_own_page_alone(ada: TestClient) -> None:
    """Not without Origin and Sec-Fetch-Site, not from another site, not with another form's token,
    and not as another kind of content."""
    right = {"form_token": token_in(ada, "/signature", "/signature"), "headers": "a: b"}
    other = right | {"form_token": token_in(ada, "/signature", "/logout")}
    elsewhere = {"origin": "http://evil.example.com"}
    tried: tuple[tuple[dict[str, str], dict[str, str]], ...] = (
        (right, {}),
        (right, elsewhere),
        (right, {**ORIGIN, "sec-fetch-site": "cross-site"}),
        (right, {"origin": "null"}),
        (other, ORIGIN),
        ({"headers": "a: b"}, ORIGIN),
    )
    for data, headers in tried:
        answer = ada.post("/signature", data=data, headers=headers)
        assert answer.status_code == 403, (data, headers)
    plain = {**ORIGIN, "content-type": "text/plain"}
    assert ada.post("/signature", content="x=1", headers=plain).status_code == 403
    large = right | {"body": "x" * (3 * 2**20)}
    assert ada.post("/signature", data=large, headers=ORIGIN).status_code == 403
    # It came in, and is judged: there is no secret.
    assert ada.post("/signature", data=right, headers=ORIGIN).status_code == 400


def test_a_token_of_another_session_does_not_fit(office: Office, ada: TestClient) -> None:
    """What a second one who has logged in got for the same form is refused."""
    with client_of(office) as eve:
        assert log_in(eve, TOKEN, name="eve") == 303
        theirs = {"form_token": token_in(eve, "/signature", "/signature"), "headers": "a: b"}
    assert ada.post("/signature", data=theirs, headers=ORIGIN).status_code == 403


def test_a_name_that_was_made_to_lead_here_is_not_answered(ada: TestClient) -> None:
    """DNS rebinding: whoever is logged in, by a stranger's name there is no page."""
    for path in ("/", "/login", "/healthz", "/static/console.css"):
        answer = ada.get(path, headers={"host": "evil.example.com:8085"})
        assert answer.status_code == 421
        assert "HOOKLANE_CONSOLE__PUBLIC_URL" in answer.text
    assert ada.get("/attempts", headers={"host": "127.0.0.1:8085"}).status_code == 200


def test_the_way_out(ada: TestClient) -> None:
    """Behind it the cookie is gone, and the pages with it."""
    assert ada.get("/attempts").status_code == 200
    form = {"form_token": token_in(ada, "/attempts", "/logout")}
    assert ada.post("/logout", data=form, headers=ORIGIN).headers["location"] == "/login"
    assert COOKIE not in ada.cookies
    assert ada.get("/attempts").status_code == 303


def test_the_proxys_user_is_in_and_named() -> None:
    """By the header from the proxy's network; from elsewhere, and with a token where only the proxy
    is set up, nobody is."""
    office = office_of(user_header="X-Forwarded-User", proxies=["10.1.0.0/16"])
    name = {"x-forwarded-user": "ada@example.com"}
    with client_of(office, "10.1.0.9") as proxy:
        page = proxy.get("/attempts", headers=name)
        assert page.status_code == 200
        assert "ada@example.com" in page.text
        assert "/logout" not in page.text
        assert proxy.get("/attempts").status_code == 403
    with client_of(office, "10.2.0.9") as other:
        assert other.get("/attempts", headers=name).status_code == 403
        assert log_in(other, TOKEN) == 403


@pytest.mark.parametrize("path", DEEDS)
def test_a_read_only_console_does_nothing(path: str) -> None:
    """Every deed is refused, also with everything else right."""
    office = office_of(token=TOKEN, read_only=True)
    with client_of(office) as client:
        log_in(client, TOKEN)
        session = office.access.visitor("", (), client.cookies[COOKIE])
        assert session is not None
        form = {"form_token": office.tokens.make(session.session, path), "why": "x"}
        answer = client.post(path, data=form, headers=ORIGIN)
        assert answer.status_code == 403
        assert "HOOKLANE_CONSOLE__READ_ONLY" in answer.text
        assert "read-only" in client.get("/attempts").text
        assert client.get("/signature").status_code == 200


def test_what_strangers_wrote_is_text(office: Office, ada: TestClient) -> None:
    """Markup in a key, an event's id or a receiver's words is shown, and is no markup."""
    nasty = "<script>alert(1)</script>\"'><img src=x>"
    attempt = an_attempt(
        lane_id(1), 1, time.time_ns() // 10**6, key=nasty.encode(), event_id=nasty, detail=nasty
    )
    office.recent.add(0, 1, attempt)
    text = ada.get("/attempts", params={"key": nasty}).text
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "<img" not in text


def test_filters_of_attempts(office: Office, ada: TestClient) -> None:
    """By subscription, key, event, outcome and time; what is no time or outcome is said."""
    now = time.time_ns() // 10**6
    office.recent.add(0, 1, an_attempt(lane_id(1), 1, now, key=b"k-1", event_id="wanted"))
    office.recent.add(0, 2, an_attempt(lane_id(2), 2, now - 3_600_000, key=b"k-2"))
    for found in ({"key": "k-1"}, {"event": "wanted"}, {"since": "5m"}):
        page = ada.get("/attempts", params={"subscription": "billing", **found}).text
        assert ("wanted" in page, "k-2" in page) == (True, False), found
    assert "No such attempt" in ada.get("/attempts", params={"outcome": "delivered"}).text
    for wrong in ({"since": "yesterday"}, {"outcome": "bad"}, {"since": "1m", "until": "2m"}):
        answer = ada.get("/attempts", params=wrong)
        assert answer.status_code == 400, wrong
        assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("x"), 400),
        (NoSuchLaneError("x"), 404),
        (BrokerError("x"), 503),
        (HooklaneError("x"), 500),
    ],
)
def test_a_failure_has_its_status(error: HooklaneError, status: int) -> None:
    """What was asked wrongly, is not there, or Kafka's own."""
    assert status_of(error) == status


def test_kafka_that_does_not_answer_is_said_in_a_sentence(
    ada: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page names what to change, with the status of an outage."""
    monkeypatch.setattr("hooklane.ops.log_reader._REACH_S", 0.2)
    answer = ada.get("/audit")
    assert answer.status_code == 503
    assert "HOOKLANE_KAFKA__BOOTSTRAP_SERVERS" in answer.text


def test_readiness_is_that_the_past_was_read(office: Office, stranger: TestClient) -> None:
    """503 and why until then, for anybody who asks."""
    assert stranger.get("/healthz").status_code == 200
    assert stranger.get("/readyz").status_code == 503
    office.follower.caught_up.set()
    assert stranger.get("/readyz").json() == {"ready": True, "missing": []}


def test_line_ends_that_a_browser_changed_are_no_cause() -> None:
    """A form sends CRLF whatever was pasted: both are tried."""
    assert list(as_pasted("a\r\nb")) == [b"a\nb", b"a\r\nb"]
    assert list(as_pasted("ab")) == [b"ab"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"secrets": SECRET}, "Paste the headers"),
        ({"headers": "webhook-id: 1"}, "Paste the secret"),
        ({"headers": "no header", "secrets": SECRET}, "is no header"),
        ({"headers": "a: b", "secrets": "x " * 11}, "At most 10"),
        ({"headers": "a: b", "secrets": SECRET, "scheme": "x"}, "There is no scheme"),
        ({"headers": "a: b", "secrets": SECRET, "at": "noon"}, "is no time"),
    ],
)
def test_what_cannot_be_judged_is_said(fields: dict[str, str], said: str) -> None:
    """One sentence that names what to paste."""
    with pytest.raises(UsageError, match=said):
        judged(fields, 0.0)


def test_the_pasted_secret_is_in_no_answer(
    ada: TestClient, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in the page that comes back, right or wrong, and on no stream of the process."""
    for headers in ("webhook-id: msg_1", "no header"):
        form = {
            "form_token": token_in(ada, "/signature", "/signature"),
            "headers": headers,
            "body": "{}",
            "secrets": SECRET,
        }
        answer = ada.post("/signature", data=form, headers=ORIGIN)
        assert headers in answer.text
        assert SECRET not in answer.text
    out, err = capfd.readouterr()
    assert SECRET not in out + err
