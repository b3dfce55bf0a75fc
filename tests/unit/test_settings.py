"""Settings: what is taken, what is refused, and that the refusal names what to change."""

import base64
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hooklane.ops.settings_doc import page
from hooklane.runtime.errors import SettingsError
from hooklane.runtime.kafka_properties import OWNED
from hooklane.runtime.settings import LogFormat, Settings, load_settings, read_settings
from hooklane.runtime.settings_shown import secret_values, shown_values
from hooklane.runtime.settings_source import known_names

KEY = base64.b64encode(bytes(range(32))).decode()
DOC = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads a hooklane.toml that happens to lie about."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(environ: dict[str, str], file: Path | None = None) -> str:
    with pytest.raises(SettingsError) as found:
        load_settings(file, environ)
    return str(found.value)


def test_the_defaults_are_those_of_the_design() -> None:
    """Without any setting the values are those that the design fixes."""
    settings = load_settings(None, {})
    assert settings.topics.prefix == "hooklane"
    assert settings.topics.partitions == 12
    assert settings.topics.replication_factor == -1
    assert settings.fanout.group_id == "hooklane-fanout"
    assert settings.retrier.group_id == "hooklane-retrier"
    assert settings.kafka.session_timeout.seconds == 10
    assert settings.kafka.instance_id != ""
    tiers = [tier.text for tier in settings.retry.tiers]
    assert tiers == ["5s", "30s", "5m", "30m", "2h", "5h", "10h"]
    assert settings.delivery.max_response == 65536
    assert not settings.delivery.allow_http
    assert not settings.secrets.allow_plaintext
    assert settings.fanout.commit_interval.seconds == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", "a:1, [::1]:2", "a:1, [::1]:2"),
        (
            "HOOKLANE_KAFKA__PROPERTIES",
            '{"a": true, "b": 1, "c": "x"}',
            {"a": True, "b": 1, "c": "x"},
        ),
        ("HOOKLANE_KAFKA__INSTANCE_ID", "", ""),
        ("HOOKLANE_TOPICS__PARTITIONS", "3", 3),
        ("HOOKLANE_FANOUT__TOPICS", '["a.b", "^c.*"]', ["a.b", "^c.*"]),
        ("HOOKLANE_FANOUT__COMMIT_INTERVAL", "20ms", "20ms"),
        ("HOOKLANE_RETRY__TIERS", '["250ms", "1d"]', ["250ms", "1d"]),
        ("HOOKLANE_DELIVERY__ALLOW_HTTP", "true", True),
        (
            "HOOKLANE_DELIVERY__ALLOW_NETWORKS",
            '["10.0.0.0/8", "fd00::/8"]',
            ["10.0.0.0/8", "fd00::/8"],
        ),
        ("HOOKLANE_DELIVERY__MAX_RESPONSE", "128KiB", 131072),
        ("HOOKLANE_DELIVERY__REDACT_HEADERS", '["X-Session"]', ["x-session"]),
        ("HOOKLANE_DELIVERY__PROXY", "http://user:hush@proxy:3128", "set"),
        ("HOOKLANE_SECRETS__DIR", "/run/secrets", "/run/secrets"),
        ("HOOKLANE_SECRETS__ENCRYPTION_KEYS", json.dumps([KEY]), ["set"]),
        ("HOOKLANE_HTTP__PORT", "0", 0),
        ("HOOKLANE_SCHEMA_REGISTRY__URL", "https://registry", "set"),
        ("HOOKLANE_TELEMETRY__OTLP_ENDPOINT", "http://otel:4318", "set"),
        ("HOOKLANE_LOG__FORMAT", "json", "json"),
    ],
)
def test_each_kind_of_setting_is_read(name: str, text: str, value: object) -> None:
    """A setting from the environment arrives with its type, and is known to come from there."""
    settings, given_ = read_settings(None, {name: text})
    section, _, setting = name.removeprefix("HOOKLANE_").lower().partition("__")
    found = {(s, n): v for s, n, v in shown_values(settings)}
    assert found[section, setting] == value
    assert given_.place(section, setting) == "environment"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"HOOKLANE_KAFKA__BOOTSTRAP_SERVRS": "x:1"},
            "nearest is HOOKLANE_KAFKA__BOOTSTRAP_SERVERS",
        ),
        (
            {"HOOKLANE_KAFK__BOOTSTRAP_SERVERS": "x:1"},
            "nearest is HOOKLANE_KAFKA__BOOTSTRAP_SERVERS",
        ),
        ({"HOOKLANE_KAFK__X": "1"}, "HOOKLANE_KAFK__X is not a setting"),
        (
            {"hooklane_kafka__bootstrap_servers": "x:1"},
            "nearest is HOOKLANE_KAFKA__BOOTSTRAP_SERVERS",
        ),
        ({"HOOKLANE_SECRET__DIR": "/x"}, "nearest is HOOKLANE_SECRETS__DIR"),
        ({"HOOKLANE_KAFKA__BOOTSTRAP_SERVERS": ""}, "HOOKLANE_KAFKA__BOOTSTRAP_SERVERS is wrong"),
        ({"HOOKLANE_KAFKA__BOOTSTRAP_SERVERS": "a:1,b"}, "'b' is not host:port"),
        ({"HOOKLANE_KAFKA__PROPERTIES": "[]"}, "HOOKLANE_KAFKA__PROPERTIES is wrong"),
        ({"HOOKLANE_KAFKA__PROPERTIES": "a=b"}, "not a JSON object"),
        ({"HOOKLANE_KAFKA__PROPERTIES": '{"a": null}'}, "a must be a string, a number"),
        ({"HOOKLANE_KAFKA__INSTANCE_ID": "a b"}, "HOOKLANE_KAFKA__INSTANCE_ID is wrong"),
        ({"HOOKLANE_KAFKA__SESSION_TIMEOUT": "10"}, "'10' is not a delay"),
        ({"HOOKLANE_KAFKA__SESSION_TIMEOUT": "500ms"}, "must be from 1s to 30m"),
        ({"HOOKLANE_TOPICS__PREFIX": "a b"}, "'a b' is no topic name"),
        ({"HOOKLANE_TOPICS__PARTITIONS": "0"}, "HOOKLANE_TOPICS__PARTITIONS is wrong"),
        ({"HOOKLANE_TOPICS__REPLICATION_FACTOR": "0"}, "must be -1 or at least 1"),
        ({"HOOKLANE_FANOUT__TOPICS": "orders"}, "not a JSON list"),
        ({"HOOKLANE_FANOUT__TOPICS": '["ok", "a b"]'}, "HOOKLANE_FANOUT__TOPICS[1] is wrong"),
        ({"HOOKLANE_FANOUT__TOPICS": '["^("]'}, "is not a regular expression"),
        ({"HOOKLANE_FANOUT__TOPICS": '["hooklane.backlog"]'}, "a topic of Hooklane's own"),
        ({"HOOKLANE_FANOUT__TOPICS": '["^.*"]'}, "covers hooklane.subscriptions"),
        ({"HOOKLANE_FANOUT__COMMIT_INTERVAL": "1s"}, "must be from 20ms to 200ms"),
        ({"HOOKLANE_RETRY__TIERS": "[]"}, "name at least one delay"),
        ({"HOOKLANE_RETRY__TIERS": '["30s", "5s"]'}, "5s is not longer than 30s"),
        ({"HOOKLANE_RETRY__TIERS": '["60s", "1m"]'}, "1m is not longer than 60s"),
        ({"HOOKLANE_RETRY__TIERS": "[5]"}, "5 has no unit"),
        ({"HOOKLANE_DELIVERY__ALLOW_NETWORKS": '["10.0.0.1/8"]'}, "has host bits set"),
        ({"HOOKLANE_DELIVERY__DENY_PORTS": "[70000]"}, "HOOKLANE_DELIVERY__DENY_PORTS[0] is wrong"),
        ({"HOOKLANE_DELIVERY__MAX_RESPONSE": "64 KB"}, "'64 KB' is not a size"),
        ({"HOOKLANE_DELIVERY__REDACT_HEADERS": '["x: y"]'}, "is not a header's name"),
        ({"HOOKLANE_DELIVERY__PROXY": "socks5://x"}, "must be a URL such as"),
        ({"HOOKLANE_DELIVERY__ALLOW_HTTP": "perhaps"}, "HOOKLANE_DELIVERY__ALLOW_HTTP is wrong"),
        ({"HOOKLANE_HTTP__PORT": "65536"}, "HOOKLANE_HTTP__PORT is wrong"),
        ({"HOOKLANE_LOG__FORMAT": "xml"}, "'console' or 'json'"),
        ({"HOOKLANE_CONFIG_FILE": "/nowhere.toml"}, "that HOOKLANE_CONFIG_FILE names is not there"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(environ: dict[str, str], said: str) -> None:
    """What is wrong or unknown stops the start with its name and what to write instead."""
    text = refused(environ)
    assert said in text
    assert text.endswith(".")
    assert "\n" not in text


@pytest.mark.parametrize("name", sorted(OWNED))
def test_properties_that_promises_rest_on_are_refused(name: str) -> None:
    """A librdkafka property that Hooklane sets itself cannot be overridden."""
    text = refused({"HOOKLANE_KAFKA__PROPERTIES": json.dumps({name: "x"})})
    assert f"{name} is set by Hooklane itself" in text


@pytest.mark.parametrize(
    "name",
    [
        "HOOKLANE_TEST_BOOTSTRAP_SERVERS",
        "HOOKLANE_TEST__X",
        "HOOKLANE_SECRET_X",
        "HOOKLANE_SECRET_A__B",
        "HOOKLANE_FANOUT_SERVICE_HOST",
        "HOOKLANE_HTTP_PORT",
        "HOOKLANE_PORT_8080_TCP_ADDR",
        "HOOKLANE_KAFKA",
        "HOOKLANEX__Y",
    ],
)
def test_names_that_are_not_settings_disturb_nothing(name: str) -> None:
    """Kubernetes' service variables, the tests' own and secrets are left alone."""
    assert load_settings(None, {name: "tcp://10.0.0.1:80"}) == load_settings(None, {})


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_value_gets_past_as_another_exception(name: str, value: str) -> None:
    """Whatever stands in the environment, the answer is settings or a SettingsError."""
    for known in ("HOOKLANE_FANOUT__TOPICS", "HOOKLANE_KAFKA__SESSION_TIMEOUT", f"HOOKLANE_{name}"):
        with suppress(SettingsError):
            load_settings(None, {known: value})


def test_the_file_is_read_and_the_environment_comes_first(empty_folder: Path) -> None:
    """hooklane.toml in the current folder counts, setting by setting below the environment."""
    file = empty_folder / "hooklane.toml"
    file.write_text(
        '[log]\nformat = "json"\nlevel = "debug"\n'
        '[fanout]\ntopics = ["a"]\ncommit_interval = "50ms"\n'
    )
    settings, given_ = read_settings(None, {"HOOKLANE_LOG__LEVEL": "error"})
    assert settings.log.format is LogFormat.JSON
    assert settings.log.level == "error"
    assert settings.event_topics() == ("a",)
    assert given_.place("log", "format") == "hooklane.toml"
    assert given_.place("log", "level") == "environment"
    assert given_.place("http", "port") is None


def test_the_file_that_is_asked_for_wins(empty_folder: Path) -> None:
    """--config comes before HOOKLANE_CONFIG_FILE, and that before hooklane.toml."""
    for name, port in (("hooklane.toml", 1), ("named.toml", 2), ("asked.toml", 3)):
        (empty_folder / name).write_text(f"[http]\nport = {port}\n")
    named = {"HOOKLANE_CONFIG_FILE": "named.toml"}
    assert load_settings(None, {}).http.port == 1
    assert load_settings(None, named).http.port == 2
    assert load_settings(Path("asked.toml"), named).http.port == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[htp]\nport = 1\n", "[htp] in x.toml is not a section of settings; the nearest is http"),
        ("[http]\nprt = 1\n", "prt under [http] in x.toml is not a setting; the nearest is port"),
        ("http = 1\n", "http in x.toml must be a table"),
        ("[http]\nport = 99999\n", "port under [http] in x.toml is wrong"),
        ("[retry]\ntiers = [5]\n", "tiers[0] under [retry] in x.toml is wrong"),
        ("[http\n", "x.toml cannot be read"),
    ],
)
def test_a_mistake_in_the_file_is_named(empty_folder: Path, content: str, said: str) -> None:
    """The message says which line of thought to mend: section, name and file."""
    (empty_folder / "x.toml").write_text(content)
    assert said in refused({}, Path("x.toml"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOOKLANE_DELIVERY__PROXY", "ftp://user:hush-hush@proxy"),
        ("HOOKLANE_DELIVERY__PROXY", "http://user:hush-hush@proxy:port"),
        ("HOOKLANE_SECRETS__ENCRYPTION_KEYS", '["hush-hush"]'),
        ("HOOKLANE_SECRETS__ENCRYPTION_KEYS", "hush-hush"),
        ("HOOKLANE_KAFKA__PROPERTIES", '{"sasl.password": ["hush-hush"]}'),
        ("HOOKLANE_KAFKA__PROPERTIES", '{"sasl.password": "hush-hush", "group.id": "x"}'),
    ],
)
def test_a_refusal_never_repeats_a_secret(name: str, value: str) -> None:
    """Also what is wrong with a secret setting is said without the secret."""
    assert "hush" not in refused({name: value})


def test_no_text_of_the_settings_holds_a_secret() -> None:
    """Neither repr nor what is shown has a password in it; the log is told what to keep out."""
    settings = load_settings(
        None,
        {
            "HOOKLANE_KAFKA__PROPERTIES": '{"sasl.username": "me", "sasl.password": "hush-1"}',
            "HOOKLANE_DELIVERY__PROXY": "http://user:hush-2@proxy",
            "HOOKLANE_SECRETS__ENCRYPTION_KEYS": json.dumps([KEY]),
        },
    )
    shown = json.dumps([value for _, _, value in shown_values(settings)])
    assert "hush" not in shown + repr(settings)
    assert KEY not in shown + repr(settings)
    assert '"sasl.username": "me"' in shown
    expected = {"hush-1", "http://user:hush-2@proxy", "hush-2", KEY}
    assert set(secret_values(settings)) == expected


def test_settings_do_not_change() -> None:
    """What was judged at the start stays."""
    settings = load_settings(None, {})
    with pytest.raises(ValidationError, match="frozen"):
        settings.http.port = 1


def test_no_topic_is_said_only_where_one_is_needed() -> None:
    """An empty list of topics is no mistake for a command that consumes none."""
    settings = load_settings(None, {"HOOKLANE_FANOUT__TOPICS": "[]"})
    with pytest.raises(SettingsError, match="HOOKLANE_FANOUT__TOPICS"):
        settings.event_topics()


def test_ports_that_no_delivery_may_reach() -> None:
    """Kafka's ports and the service's own are on the deny list whatever the setting says."""
    settings = load_settings(
        None,
        {
            "HOOKLANE_KAFKA__BOOTSTRAP_SERVERS": "a:9093,b:9094",
            "HOOKLANE_HTTP__PORT": "8081",
            "HOOKLANE_DELIVERY__DENY_PORTS": "[22]",
        },
    )
    assert settings.denied_ports == {22, 9093, 9094, 8081}


def test_the_page_of_settings_is_up_to_date() -> None:
    """docs/settings.md is what hooklane.ops.settings_doc makes, and names every setting."""
    assert DOC.read_text() == page()
    assert all(f"`{name}`" in page() for name in known_names(Settings))


def test_loading_leaves_the_slow_modules_alone() -> None:
    """Settings are read without Kafka, HTTP or cryptography being imported."""
    code = (
        "import sys; from hooklane.runtime.settings import load_settings; load_settings(None, {});"
        "print([m for m in ('confluent_kafka', 'httpx', 'cryptography', 'starlette', 'rich')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
