"""Who comes into the console, and which requests are a page's of its own."""

import time
from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from hooklane.ops.console.access import Access, ProxyRule, Visitor, check_reach, is_loopback
from hooklane.ops.console.login_pace import TRIES, WITHIN_S, LoginPace
from hooklane.ops.console.origins import Origins, local_path
from hooklane.ops.console.sessions import LIFE_S, FormTokens, Sessions, signing_key
from hooklane.runtime.errors import SettingsError
from hooklane.runtime.settings import load_settings
from hooklane.runtime.settings_console import ConsoleSettings

TOKEN = "a-token-of-the-tests-0123"
PROXY = ProxyRule("x-forwarded-user", [ip_network("10.1.0.0/16"), ip_network("::1/128")])


def access(token: str | None = TOKEN, proxy: ProxyRule | None = None) -> Access:
    return Access(token, proxy, Sessions(signing_key(token)))


def test_the_token_alone_gives_a_session() -> None:
    """Who has entered it is known again by the cookie, under the name that was given."""
    one = access()
    assert one.is_token(TOKEN)
    assert not any(map(one.is_token, ("", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\udcff")))
    found = one.visitor("10.0.0.9", (), one.enter(" Ada "))
    assert found is not None
    assert (found.name, found.by_proxy) == ("Ada", False)
    nameless = one.visitor("10.0.0.9", (), one.enter("\x07"))
    assert nameless is not None
    assert nameless.name == "console"


def test_a_cookie_of_another_token_or_none_is_nobodys() -> None:
    """A new token ends every session; what was made up, or changed by a character, is none."""
    cookie = access().enter("ada")
    assert access().visitor("", (), cookie) is not None
    assert access("another-token-9876543210").visitor("", (), cookie) is None
    # Not its last character, some of whose bits mean nothing.
    signed, _, signature = cookie.rpartition(".")
    other = ("A" if signature[0] != "A" else "B") + signature[1:]
    assert access().visitor("", (), f"{signed}.{other}") is None
    for forged in ("", "x", "a.b.c", cookie.partition(".")[0], "\udcff"):
        assert access().visitor("", (), forged) is None
    assert access().visitor("", (), None) is None


def test_a_session_ends_by_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """After twelve hours the cookie is nobody's, whatever the browser does with it."""
    cookie = access().enter("ada")
    at = time.time()
    monkeypatch.setattr(time, "time", lambda: at + LIFE_S - 5)
    assert access().visitor("", (), cookie) is not None
    monkeypatch.setattr(time, "time", lambda: at + LIFE_S + 5)
    assert access().visitor("", (), cookie) is None


@pytest.mark.parametrize(
    ("peer", "given", "name"),
    [
        ("10.1.2.3", ["ada"], "ada"),
        ("::ffff:10.1.2.3", ["ada"], "ada"),
        ("::1", [" ada "], "ada"),
        ("10.2.0.1", ["ada"], None),
        ("", ["ada"], None),
        ("no address", ["ada"], None),
        ("10.1.2.3", [], None),
        ("10.1.2.3", [""], None),
        ("10.1.2.3", ["ada", "mallory"], None),
        ("10.1.2.3", ["a\x00da"], None),
        ("10.1.2.3", ["a" * 201], None),
    ],
)
def test_the_proxys_header_counts_from_the_proxy_alone(
    peer: str, given: Sequence[str], name: str | None
) -> None:
    """From another network, twice, empty or unprintable it names nobody."""
    found = access(None, PROXY).visitor(peer, given, None)
    assert found == (None if name is None else Visitor(name, f"proxy:{name}", by_proxy=True))


def test_a_header_that_is_not_set_up_is_not_believed() -> None:
    """Without the setting no header lets anybody in, and without a token no cookie does."""
    assert access().visitor("127.0.0.1", ["ada"], None) is None
    only_proxy = access(None, PROXY)
    assert not only_proxy.takes_token
    assert not only_proxy.is_token("")
    assert only_proxy.visitor("10.9.9.9", (), access().enter("ada")) is None


def test_a_forms_token_is_for_its_session_and_its_action() -> None:
    """Another session's, another form's and none at all do not fit."""
    tokens = FormTokens(signing_key(TOKEN))
    made = tokens.make("s-1", "/lanes/retry")
    assert tokens.fits("s-1", "/lanes/retry", made)
    assert not tokens.fits("s-2", "/lanes/retry", made)
    assert not tokens.fits("s-1", "/redrive", made)
    assert not tokens.fits("s-1", "/lanes/retry", "")
    assert not FormTokens(signing_key(None)).fits("s-1", "/lanes/retry", made)
    cookie = Sessions(signing_key(TOKEN)).begin("ada")
    assert not tokens.fits("s-1", "/lanes/retry", cookie)


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("localhost:8085", True),
        ("LOCALHOST", True),
        ("127.0.0.1:8085", True),
        ("192.168.1.7", True),
        ("[::1]:8085", True),
        ("hooklane.example.com", True),
        ("hooklane.example.com.:443", True),
        ("evil.example.com:8085", False),
        ("localhost.evil.example.com", False),
        ("127.0.0.1.evil.example.com", False),
        ("x@localhost", False),
        ("localhost/x", False),
        ("localhost:port", False),
        ("", False),
    ],
)
def test_only_known_names_are_answered(host: str, taken: bool) -> None:
    """A name that was made to lead here (DNS rebinding) is not; an address cannot be."""
    assert Origins("https://hooklane.example.com").takes_host([host]) is taken


def test_one_host_and_no_other() -> None:
    """None, or two, is no browser's request; without a public URL its name is a stranger's."""
    assert not Origins().takes_host([])
    assert not Origins().takes_host(["localhost", "localhost"])
    assert not Origins().takes_host(["hooklane.example.com"])


@pytest.mark.parametrize(
    ("origin", "site", "taken"),
    [
        ("http://localhost:8085", "same-origin", True),
        ("http://localhost:8085", None, True),
        (None, "same-origin", True),
        ("https://hooklane.example.com", "same-origin", True),
        (None, None, False),
        ("null", "same-origin", False),
        ("http://localhost:9000", None, False),
        ("https://localhost:8085", None, False),
        ("http://evil.example.com", "cross-site", False),
        ("http://localhost:8085", "cross-site", False),
        (None, "same-site", False),
        (None, "none", False),
        ("http://localhost:8085, http://localhost:8085", None, False),
    ],
)
def test_a_form_comes_from_a_page_of_this_origin(
    origin: str | None, site: str | None, taken: bool
) -> None:
    """Both headers must say so where they are there, and one of them must be."""
    origins = Origins("https://hooklane.example.com")
    assert origins.takes_post("localhost:8085", origin, site) is taken


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ("/lanes?halted=yes", "/lanes?halted=yes"),
        ("//evil.example.com", "/"),
        ("/\\evil.example.com", "/"),
        ("https://evil.example.com/", "/"),
        ("javascript:alert(1)", "/"),
        ("lanes", "/"),
        ("/a\r\nset-cookie: x", "/"),
        ("", "/"),
    ],
)
def test_the_login_leads_nowhere_else(given: str, there: str) -> None:
    """What comes behind it is a path here, or the first page."""
    assert local_path(given) == there


def test_wrong_tokens_are_slowed_down() -> None:
    """After five within a minute the address waits until the first is a minute ago; another does
    not, and a right one begins anew."""
    pace = LoginPace()
    for at in range(TRIES):
        assert pace.wait_s("a", float(at)) == 0
        pace.was_wrong("a", float(at))
    assert pace.wait_s("a", 10.0) == WITHIN_S - 10.0
    assert pace.wait_s("b", 10.0) == 0
    assert pace.wait_s("a", WITHIN_S + 0.5) == 0
    pace.was_right("a")
    assert pace.wait_s("a", 10.0) == 0


def test_many_addresses_are_slowed_down_together_and_forgotten() -> None:
    """Fifty wrong ones in a minute are the most of all, and no more than a thousand are kept."""
    pace = LoginPace()
    for number in range(10 * TRIES):
        pace.was_wrong(f"a-{number}", 1.0)
    assert pace.wait_s("a new one", 2.0) == WITHIN_S - 1.0
    for number in range(3000):
        pace.was_wrong(f"b-{number}", 2.0)
    assert len(pace._wrong) == 1000


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - it is refused
        ("::", False),
        ("192.168.1.7", False),
        ("console.internal", False),
    ],
)
def test_where_others_can_come_somebody_must_be_asked(host: str, loopback: bool) -> None:
    """Without a token and a proxy only loopback is served; with either, every address."""
    assert is_loopback(host) is loopback
    if loopback:
        check_reach(ConsoleSettings(host=host))
    else:
        with pytest.raises(SettingsError, match="HOOKLANE_CONSOLE__TOKEN"):
            check_reach(ConsoleSettings(host=host))
    check_reach(ConsoleSettings.model_validate({"host": host, "token": TOKEN}))
    check_reach(ConsoleSettings(host=host, user_header="x-user"))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TOKEN", "short", "at least 16 characters"),
        ("TOKEN", " a-token-of-the-tests-0123", "none of them blank"),
        ("USER_HEADER", "x user", "not a header's name"),
        ("PUBLIC_URL", "hooklane.example.com", "not the address of a server"),
        ("PUBLIC_URL", "https://hooklane.example.com/console", "not the address of a server"),
        ("PUBLIC_URL", "https://u:p@hooklane.example.com", "not the address of a server"),
        ("SERVICES", '["fanout:8080"]', "not the address of a server"),
        ("HISTORY", "2d", "from 1m to 24h"),
        ("ATTEMPTS", "5", "greater than or equal to 100"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_its_name(name: str, value: str, said: str) -> None:
    """One sentence that names it, and does not repeat the token."""
    with pytest.raises(SettingsError, match=said) as found:
        load_settings(environ={f"HOOKLANE_CONSOLE__{name}": value})
    assert f"HOOKLANE_CONSOLE__{name}" in str(found.value)
    assert name != "TOKEN" or value.strip() not in str(found.value)
