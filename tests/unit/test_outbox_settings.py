"""The outbox's settings, and how its database is named."""

import builtins
from pathlib import Path
from typing import Any

import pytest

from hooklane.ops.outbox_kafka import bucket_config
from hooklane.ops.outbox_layout import layout_from
from hooklane.ops.outbox_run import connection_string, run_outbox
from hooklane.producer.outbox.connect import passwords
from hooklane.producer.outbox.errors import UnusableAccessError
from hooklane.producer.outbox.layout import Part
from hooklane.runtime.errors import SettingsError
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.settings import load_settings
from hooklane.runtime.settings_outbox import PARTS, OutboxSettings
from hooklane.runtime.settings_shown import secret_values, shown_values
from hooklane.runtime.shutdown import Shutdown

DSN = "postgresql://relay:canary-password@db.example:5432/shop"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("COLUMNS", '{"kind": "x"}', "'kind' is no part of an outbox"),
        ("COLUMNS", '{"type": ""}', "must be the name of a column"),
        ("COLUMNS", "[1]", "COLUMNS"),
        ("TOPIC", "{type}.events", "the only field is {aggregatetype}"),
        ("SOURCE", "", "is no template"),
        ("CONTENT_TYPE", "json", "is no media type"),
        ("AFTER", "keep", "AFTER"),
        ("BUCKETS", "0", "BUCKETS"),
        ("NAME", "a b", "NAME"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, words: str) -> None:
    """In the sentence that stops the start."""
    with pytest.raises(SettingsError) as raised:
        load_settings(environ={f"HOOKLANE_OUTBOX__{name}": value})
    assert words in str(raised.value)


def test_the_parts_of_a_table_are_those_of_the_relay() -> None:
    """The settings, which may not import the relay, name the same parts as it."""
    assert set(PARTS) == set(Part)
    told = OutboxSettings(columns={"type": "event_type"})
    assert layout_from(told).column(Part.TYPE) == "event_type"


def test_the_connection_string_is_a_secret() -> None:
    """It is not shown, and its password by itself is kept out of the log too, however it is
    written."""
    settings = load_settings(environ={"HOOKLANE_OUTBOX__DSN": DSN})
    shown = {name: value for section, name, value in shown_values(settings) if section == "outbox"}
    assert shown["dsn"] == "set"
    assert {DSN, "canary-password"} <= set(secret_values(settings))
    assert passwords("host=db user=relay password='it is a canary'") == ["it is a canary"]
    assert passwords("no connection string") == []


def test_the_connection_string_may_be_a_file(tmp_path: Path) -> None:
    """It is read each time, and a file that is not there is named."""
    file = tmp_path / "dsn"
    outbox = OutboxSettings(dsn_file=file)
    with pytest.raises(UnusableAccessError, match="HOOKLANE_OUTBOX__DSN_FILE"):
        connection_string(outbox)
    for text in (DSN, DSN.replace("canary", "another")):
        file.write_text(f"{text}\n")
        assert connection_string(outbox) == text


def test_a_bucket_has_a_transactional_id_of_its_own() -> None:
    """The same for whoever has it: not of the process."""
    ids = {
        bucket_config(KafkaAccess("kafka:9092", {}, name), "shop", 3, "murmur2_random")[
            "transactional.id"
        ]
        for name in ("one", "two")
    }
    assert ids == {"shop-3"}


async def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads how to."""
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("hooklane.producer.outbox.connect"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match=r"hooklane\[outbox\]"):
        await run_outbox(load_settings(environ={}), Shutdown(), KnownSecrets())
