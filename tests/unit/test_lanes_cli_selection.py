"""What is typed to select records, and how keys, times and bytes are shown."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.ops.dead_letters_view import LetterId, flat
from hooklane.ops.log_selection import (
    Newest,
    Window,
    content,
    cut_content,
    key_text,
    moment,
    typed_keys,
    window,
)
from hooklane.runtime.errors import UsageError

NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)


@pytest.mark.parametrize(
    ("given", "ms_ago"),
    [
        ("2h", 7_200_000),
        ("250ms", 250),
        ("1d", 86_400_000),
        ("2026-11-01T11:00:00Z", 3_600_000),
        ("2026-11-01T13:00:00.5+02:00", 3_599_500),
    ],
)
def test_times_as_typed(given: str, ms_ago: int) -> None:
    """RFC 3339 with its zone, or how long ago."""
    assert window(given, None, NOW) == Window(NOW_MS - ms_ago, None)
    assert window(None, given, NOW) == Window(None, NOW_MS - ms_ago)


def test_now_may_be_in_any_zone() -> None:
    """A duration is counted from the instant, not from its spelling."""
    there = NOW.astimezone(timezone(timedelta(hours=5)))
    assert window("2h", "1h", there) == window("2h", "1h", NOW)


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("2026-11-01", None, "--since '2026-11-01' is no time"),
        ("2026-11-01T11:00:00", None, "is no time"),
        (None, "-2h", "--until '-2h' is no time"),
        ("", None, "is no time"),
        ("1h", "2h", "--since 1h is not before --until 2h"),
        ("1h", "1h", "is not before"),
    ],
)
def test_what_is_no_time(since: str | None, until: str | None, said: str) -> None:
    """One sentence that names the option; times the wrong way round are no time either."""
    with pytest.raises(UsageError, match=said):
        window(since, until, NOW)


def test_a_window_has_its_beginning_and_not_its_end() -> None:
    """Two windows that meet share no record."""
    times = Window(10, 20)
    assert [times.holds(at) for at in (9, 10, 19, 20)] == [False, True, True, False]
    assert Window().holds(0)


@given(st.binary())
def test_a_key_is_typed_as_it_is_shown(key: bytes) -> None:
    """Whatever a key is, what a listing shows of it selects it."""
    shown = key_text(key)
    assert shown is not None
    wanted = typed_keys(shown)
    assert wanted is not None
    assert key in wanted


def test_keys_that_are_missing_empty_or_no_hex() -> None:
    """A null key is not an empty one; `hex:` before what is no hex is text."""
    assert key_text(None) is None
    assert key_text(b"") == ""
    assert typed_keys(None) is None
    assert typed_keys("") == frozenset([b""])
    assert typed_keys("hex:zz") == frozenset([b"hex:zz"])
    assert typed_keys("hex:ff") == frozenset([b"hex:ff", b"\xff"])
    assert typed_keys("\udcff") == frozenset([b"\xff"])


@given(st.binary())
def test_content_loses_no_byte(data: bytes) -> None:
    """Text as it is, other bytes in base64: one of the two fields gives all of them back."""
    found = content("body", data)
    text, encoded = found["body"], found["body_base64"]
    assert (text is None) != (encoded is None)
    if isinstance(text, str):
        assert text.encode() == data
    else:
        assert base64.b64decode(str(encoded)) == data


def test_text_cut_inside_a_character_is_text() -> None:
    """The first KiB of a response may end anywhere."""
    assert cut_content("r", "é€".encode()[:-1]) == {"r": "é", "r_base64": None}
    assert cut_content("r", b"\xff\xc3") == {"r": None, "r_base64": "/8M="}
    assert cut_content("r", None) == {"r": None, "r_base64": None}


@pytest.mark.parametrize("at_ms", [None, -1, 1 << 62])
def test_times_that_no_calendar_has(at_ms: int | None) -> None:
    """A record without a time, or with nonsense for one, is shown without."""
    assert moment(at_ms) is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 50))), st.integers(1, 5))
def test_the_newest_of_each_id(added: list[tuple[int, int]], limit: int) -> None:
    """As many as wanted, oldest first, none that is older than one left out, each id once; of one
    time in the order in which they came."""
    newest = Newest[int, tuple[int, int]](limit)
    at_ms = 0
    for name, wait in added:
        at_ms += wait
        newest.add(name, at_ms, (name, at_ms))
    latest: dict[int, int] = {}
    at_ms = 0
    for name, wait in added:
        at_ms += wait
        latest.pop(name, None)
        latest[name] = at_ms
    wanted = sorted(latest.items(), key=lambda one: one[1])[-limit:]
    assert newest.oldest_first() == wanted
    assert newest.left_out or len(latest) <= limit


@pytest.mark.parametrize(
    ("given", "letter", "named"),
    [
        ("00000001", "0000000100000000:5", True),
        ("00000001:5", "0000000100000000:5", True),
        ("00000001:5", "0000000100000000:55", False),
        ("00000001:?", "0000000100000000:?", True),
        ("00000002", "0000000100000000:5", False),
        ("0000000A", "0000000a:5", True),
    ],
)
def test_ids_of_letters(given: str, letter: str, named: bool) -> None:
    """The lane may be cut, the sequence may be left out but not cut."""
    assert LetterId.parse(given).names(letter) is named


def test_a_nested_row_in_a_table() -> None:
    """What is inside stands under both names; nothing of it that is null, and lists stay."""
    row = {"a": None, "b": {"c": 1, "d": None, "e": {"f": "x"}}, "g": [{"h": 1}]}
    assert flat(row) == {"a": None, "b c": 1, "b e f": "x", "g": [{"h": 1}]}
