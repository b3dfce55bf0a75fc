"""The event's document: lazy, read at most once; and what `schemas` needs to be installed."""

import subprocess
import sys
import textwrap

import pytest

from hooklane.schemas.event import NOT_JSON, Event, read_json


def event(data: bytes) -> Event:
    return Event("t", "0" * 32, 0, 0, 0, None, {}, "application/json", data)


def test_document_is_read_at_most_once() -> None:
    """A reader is called when the document is first asked for, and never again."""
    calls: list[str] = []

    def read() -> object:
        calls.append("read")
        return {"a": 1}

    one = event(b"anything")
    one.read_by(read)
    assert calls == []
    assert one.document() is one.document()
    assert calls == ["read"]


def test_json_data_gives_one_document() -> None:
    """JSON data becomes values once; the same object is given again."""
    one = event(b'{"a": [1, 2.5, null]}')
    assert one.document() == {"a": [1, 2.5, None]}
    assert one.document() is one.document()


def test_json_null_is_a_document() -> None:
    """`null` is JSON: the document is None and not NOT_JSON, also the second time."""
    one = event(b"null")
    assert one.document() is None
    assert one.document() is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b'"\xff"',
        b'"\\ud800"',
        b"\xef\xbb\xbf1",
        "1".encode("utf-16"),
        b"1 2",
        b"01",
        b"{'a': 1}",
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\x00\x00\x00\x00\x01data",
    ],
    ids=lambda data: repr(data[:16]),
)
def test_what_is_not_json_is_said_so(data: bytes) -> None:
    """Broken, not UTF-8, NaN, or nested 100,000 deep: NOT_JSON, and nothing raises."""
    assert event(data).document() is NOT_JSON


def test_json_is_read_as_receivers_read_it() -> None:
    """Of duplicate keys the last one counts; big whole numbers stay exact; 200 levels are read."""
    assert read_json(b'{"a": 1, "a": 2}') == {"a": 2}
    assert read_json(b"123456789012345678901234567890") == 123456789012345678901234567890
    assert read_json(b"[" * 200 + b"]" * 200) is not NOT_JSON
    assert read_json(b'"' + b"x" * 5_000_000 + b'"') == "x" * 5_000_000


def test_events_are_equal_whatever_was_read_of_them() -> None:
    """Neither a document that was read nor the count of dropped attributes makes a difference."""
    one, other = event(b"{}"), event(b"{}")
    one.document()
    other.dropped = 3
    assert one == other


MODULES = [
    "hooklane.schemas.cloudevents",
    "hooklane.schemas.cloudevents_content_type",
    "hooklane.schemas.cloudevents_encode",
    "hooklane.schemas.cloudevents_trace",
    "hooklane.schemas.codec",
    "hooklane.schemas.decode",
    "hooklane.schemas.event",
    "hooklane.schemas.lane",
    "hooklane.schemas.records",
    "hooklane.schemas.topics",
    "hooklane.producer",
    "hooklane.producer.testing",
    "hooklane.schemas.event_types_read",
]


def test_publishers_need_the_base_dependencies_only() -> None:
    """What a publisher imports works with the packages of `pip install hooklane` alone.

    Every other installed package is hidden from the import system.
    """
    program = textwrap.dedent(
        """
        import sys
        from importlib import import_module
        from importlib.metadata import packages_distributions, requires
        from packaging.requirements import Requirement

        def closure(name, seen):
            if name.lower() not in seen:
                seen.add(name.lower())
                for line in requires(name) or ():
                    found = Requirement(line)
                    if found.marker is None or found.marker.evaluate({"extra": ""}):
                        closure(found.name, seen)
            return seen

        allowed = {one.replace("_", "-") for one in closure("hooklane", set())}
        hidden = {
            module
            for module, owners in packages_distributions().items()
            if not allowed & {owner.lower().replace("_", "-") for owner in owners}
        }
        assert {"orjson", "httpx", "typer", "yaml"} <= hidden, hidden
        assert not {"confluent_kafka", "fastavro", "pydantic", "opentelemetry"} & hidden

        class Blocker:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in hidden:
                    raise ModuleNotFoundError(f"{name} is hidden", name=name)

        for name in [one for one in sys.modules if one.partition(".")[0] in hidden]:
            del sys.modules[name]
        sys.meta_path.insert(0, Blocker())
        for module in sys.argv[1:]:
            import_module(module)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *MODULES],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
