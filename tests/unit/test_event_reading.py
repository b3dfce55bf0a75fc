"""Commands read events as the fan-out does, or say why they cannot."""

import json
from pathlib import Path

import pytest

from hooklane.ops.event_reading import EventReading
from hooklane.runtime.errors import HooklaneError, SettingsError
from hooklane.runtime.settings import Settings, load_settings
from hooklane.schemas.avro_schema import AvroSchema
from hooklane.schemas.event import Event, SourceRecord, Unreadable
from tests.support.registry_answers import serving

PAID = {"type": "record", "name": "Paid", "fields": [{"name": "amount", "type": "long"}]}
DATUM = AvroSchema(PAID).encode({"amount": 7})
FOUND = (200, {"schema": json.dumps(PAID)})


def settings(**told: str) -> Settings:
    return load_settings(None, {f"HOOKLANE_{name}": value for name, value in told.items()})


def record(value: bytes, kind: str = "paid") -> SourceRecord:
    return SourceRecord("t", "T", 0, 1, 5, b"k", value, (("event-type", kind.encode()),))


def test_avro_is_json_by_registry_and_folder(tmp_path: Path) -> None:
    """A schema is asked for once, and the folder's are read like the fan-out's."""
    (tmp_path / "sent.avsc").write_text(json.dumps(PAID))
    with serving({"/schemas/ids/7": FOUND}) as served:
        reading = EventReading(
            settings(SCHEMA_REGISTRY__URL=served.url, EVENTS__SCHEMAS_DIR=str(tmp_path))
        )
        single = AvroSchema(PAID).encode_single_object({"amount": 7})
        for value in (b"\0\0\0\0\7" + DATUM, single, b"\0\0\0\0\7" + DATUM):
            found = reading.read(record(value))
            assert isinstance(found, Event)
            assert (found.data, found.content_type) == (b'{"amount":7}', "application/json")
        assert isinstance(reading.read(record(b"\0\0\0\0\7")), Unreadable)
        assert len(served.asked) == 1


def test_what_validation_refuses_is_no_event_here_either(tmp_path: Path) -> None:
    """What the fan-out put into the dead letters is not replayed; with `warn` it is."""
    (tmp_path / "paid.json").write_text('{"type": "object"}')
    told = {"EVENTS__SCHEMAS_DIR": str(tmp_path), "EVENTS__VALIDATION": "refuse"}
    refused = EventReading(settings(**told)).read(record(b"[]"))
    assert isinstance(refused, Unreadable)
    assert "does not fit the schema of paid: $: " in refused.reason
    warned = EventReading(settings(**told | {"EVENTS__VALIDATION": "warn"})).read(record(b"[]"))
    assert isinstance(warned, Event)


def test_without_the_registry_a_look_still_knows_whose_event_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """To deliver it again is refused; to look at it goes on without the data, and says so once."""
    with serving({}) as served:
        reading = EventReading(settings(SCHEMA_REGISTRY__URL=served.url))
        value = b"\0\0\0\0\7" + DATUM
        with pytest.raises(HooklaneError, match="answers 404"):
            reading.read(record(value))
        for _ in range(2):
            seen = reading.looked_at(record(value))
            assert isinstance(seen, Event)
            assert (seen.attributes["type"], seen.data) == ("paid", value)
        assert len(served.asked) == 2
    assert capsys.readouterr().err.count("data in Avro is not looked at") == 1


def test_a_folder_that_cannot_be_read_is_a_wrong_setting(tmp_path: Path) -> None:
    """The error names setting, file and place; so does validation without a folder."""
    (tmp_path / "paid.json").write_text("{")
    with pytest.raises(SettingsError, match=r"HOOKLANE_EVENTS__SCHEMAS_DIR: .*paid\.json, line 1"):
        EventReading(settings(EVENTS__SCHEMAS_DIR=str(tmp_path)))
    with pytest.raises(SettingsError, match="set HOOKLANE_EVENTS__SCHEMAS_DIR"):
        EventReading(settings(EVENTS__VALIDATION="warn"))
