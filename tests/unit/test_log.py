"""Logs: one line each, from everywhere alike, and without secrets."""

import base64
import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from hooklane.runtime.log import configure_logging, start_logging
from hooklane.runtime.redaction import REDACTED, KnownSecrets, redacted
from hooklane.runtime.settings import load_settings
from hooklane.runtime.settings_sections import LogFormat, LogLevel, LogSettings

SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging is the process's: put it back as pytest had it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


class Out(io.StringIO):
    """What was logged."""

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


def logging_to(
    form: LogFormat = LogFormat.JSON, level: LogLevel = LogLevel.INFO, *secrets: str
) -> Out:
    out, known = Out(), KnownSecrets()
    for secret in secrets:
        known.add(secret)
    configure_logging(
        LogSettings(format=form, level=level), service="fanout", secrets=known, stream=out
    )
    return out


def test_a_line_has_time_level_service_and_its_fields() -> None:
    """JSON: one object a line, the telling fields first."""
    out = logging_to()
    structlog.get_logger().info("lane blocked", lane="ab", sequence=3)
    (line,) = out.lines()
    assert list(line)[:4] == ["timestamp", "level", "service", "event"]
    assert str(line["timestamp"]).endswith("Z")
    assert line["level"] == "info"
    assert line["service"] == "fanout"
    assert (line["event"], line["lane"], line["sequence"]) == ("lane blocked", "ab", 3)


def test_libraries_log_the_same_way() -> None:
    """What comes by `logging`, as librdkafka's messages do, has the same fields and its origin."""
    out = logging_to()
    with structlog.contextvars.bound_contextvars(partition=3):
        logging.getLogger("librdkafka").warning("%s is down", "broker 1")
    (line,) = out.lines()
    assert line["event"] == "broker 1 is down"
    assert line["logger"] == "librdkafka"
    assert (line["service"], line["partition"], line["level"]) == ("fanout", 3, "warning")


def test_levels_are_kept() -> None:
    """Below the level nothing is written, by either way; chatty libraries need a warning."""
    out = logging_to(LogFormat.JSON, LogLevel.INFO)
    structlog.get_logger().debug("no")
    logging.getLogger("x").debug("no")
    logging.getLogger("httpx").info("HTTP Request: POST https://x")
    assert out.getvalue() == ""


def test_warnings_are_logged() -> None:
    """Python's warnings are lines as well, and do not break a stream of JSON."""
    out = logging_to()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    (line,) = out.lines()
    assert "DeprecationWarning: old" in str(line["event"])


@pytest.mark.parametrize("form", LogFormat)
def test_no_secret_in_any_place(form: LogFormat) -> None:
    """A known secret is kept out of messages, fields, tracebacks, reprs and libraries' lines."""
    out = logging_to(form, LogLevel.INFO, SECRET)
    log = structlog.get_logger()
    log.info(f"sent {SECRET}", one=SECRET, deep={"x": [f"a{SECRET}b", SECRET.encode()]})
    log.info("object", it=ValueError(SECRET), pair=("note", SECRET))
    try:
        int(SECRET)
    except ValueError:
        log.exception("failed")
        logging.getLogger("library").exception("failed: %s", SECRET)
    assert out.getvalue().count(REDACTED) >= 8
    assert SECRET not in out.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "sasl.password",
        "Authorization",
        "proxy-authorization",
        "Set-Cookie",
        "api_key",
        "apiKey",
        "client_secret",
        "token",
        "X-Auth-Token",
        "ssl.key.passphrase",
        "private_key",
    ],
)
def test_telling_names_are_enough(name: str) -> None:
    """What is called a secret is kept out although nobody knew its value."""
    none = KnownSecrets()
    assert redacted({name: "v"}, none) == {name: REDACTED}
    assert redacted([(name, "v"), ("accept", "v")], none) == [[name, REDACTED], ["accept", "v"]]
    assert redacted({name: 3}, none) == {name: 3}


def test_nothing_that_is_logged_raises() -> None:
    """Values that JSON cannot hold are written in some way: a log line must not stop a service."""
    out = logging_to()
    structlog.get_logger().info("odd", big=2**80, lone="\ud800", raw=b"\xff", none=None, it={1, 2})
    (line,) = out.lines()
    assert (line["big"], line["lone"], line["raw"]) == (str(2**80), "\\ud800", "\\xff")


def test_a_service_knows_the_secrets_of_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """Kafka's password and the proxy's are kept out from the first line, on stderr."""
    properties = '{"sasl.password": "hush-one"}'
    environ = {
        "HOOKLANE_KAFKA__PROPERTIES": properties,
        "HOOKLANE_DELIVERY__PROXY": "http://me:hush%2Dtwo@proxy",
    }
    start_logging(load_settings(None, environ), "fanout")
    structlog.get_logger().info("at hush-one, hush%2Dtwo and hush-two")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"at {REDACTED}, {REDACTED} and {REDACTED}" in printed.err


SHORT_SECRETS = st.lists(st.text("ab", min_size=4, max_size=6), max_size=6)


@example(["aaaa", "aaaaab"], "caaaaabc")
@given(SHORT_SECRETS, st.text("abc", max_size=40))
def test_redaction_equals_its_plain_twin(secrets: list[str], text: str) -> None:
    """The lookup by first characters finds what trying every secret at every place finds."""
    known = KnownSecrets()
    for secret in secrets:
        known.add(secret)
    plain, place = "", 0
    while place < len(text):
        hits = [secret for secret in secrets if text.startswith(secret, place)]
        plain += REDACTED if hits else text[place]
        place += len(max(hits, key=len)) if hits else 1
    assert known.redact(text) == plain


def test_short_values_are_not_kept_out() -> None:
    """A secret of three characters would be found in every other word."""
    known = KnownSecrets()
    known.add("the")
    assert known.redact("the end") == "the end"
