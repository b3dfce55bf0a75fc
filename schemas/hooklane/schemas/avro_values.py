"""Avro's values that JSON lacks, as receivers expect them, and the way back.

decimal: text, exact · timestamps: RFC 3339 in UTC · local timestamps: the same without a zone ·
date, time of day: ISO 8601 · duration: ISO 8601 · uuid: text · other bytes: base64 · NaN and the
infinities: text. The rest is JSON as it stands; whole numbers stay exact.

Avro specification 1.12, "Logical Types". A logical type on a type that it does not belong to, or
one that is not known, is ignored, as the specification says.
"""

import math
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import UUID

Schema: TypeAlias = Mapping[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-]\d\d:\d\d))?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?", re.ASCII)
_DURATION = re.compile(r"P(\d{1,10})M(\d{1,10})DT(\d{1,7})(?:\.(\d{1,3}))?S", re.ASCII)
_LONGEST_DECIMAL = 1000
_WORDS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True, slots=True)
class Form:
    """How values of one Avro type, with or without a logical type, are written in JSON.

    `read` makes JSON of what Avro holds, `write` the reverse; both raise ValueError or
    OverflowError for a value that the other side cannot hold. `text` says what is expected.
    """

    name: str
    text: str
    read: Callable[[Any, Schema], object]
    write: Callable[[object, Schema], object]


def form_of(schema: Schema) -> Form | None:
    """The form of a type that is not JSON as it stands; `schema` has `type` and perhaps more."""
    kind = schema["type"]
    if not isinstance(kind, str):
        return None
    logical = schema.get("logicalType")
    found = _FORMS.get((kind, logical)) if isinstance(logical, str) else None
    if found is not None and not _usable(found, schema):
        found = None
    return found or _FORMS.get((kind, ""))


def _usable(form: Form, schema: Schema) -> bool:
    """Whether the size of a fixed, or a decimal's precision, is what the logical type needs."""
    if form.name == "decimal":
        precision, scale = schema.get("precision"), schema.get("scale", 0)
        return isinstance(precision, int) and isinstance(scale, int) and 0 <= scale <= precision
    size = {"duration": 12, "uuid": 16}.get(form.name)
    return schema["type"] != "fixed" or size is None or schema.get("size") == size


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")  # noqa: TRY004 - one class for all that does not fit
    return value


def _read_base64(raw: bytes, _schema: Schema) -> str:
    return b64encode(raw).decode()


def _write_base64(value: object, _schema: Schema) -> bytes:
    return b64decode(_text(value), validate=True)


def _read_decimal(raw: bytes, schema: Schema) -> str:
    scale: int = schema.get("scale", 0)
    whole = int.from_bytes(raw, "big", signed=True)
    digits = str(abs(whole)).zfill(scale + 1)
    sign = "-" if whole < 0 else ""
    return f"{sign}{digits[: len(digits) - scale]}.{digits[-scale:]}" if scale else sign + digits


def _write_decimal(value: object, schema: Schema) -> bytes:
    try:
        sign, digits, exponent = Decimal(_text(value)).as_tuple()
    except InvalidOperation as error:
        raise ValueError("no number") from error
    if not isinstance(exponent, int) or abs(exponent) > _LONGEST_DECIMAL:
        raise ValueError("no number of a usable size")
    shift = exponent + schema.get("scale", 0)
    whole, rest = int("".join(map(str, digits))), 0
    if shift >= 0:
        whole *= _units(shift)
    else:
        whole, rest = divmod(whole, _units(-shift))
    if rest or len(str(whole)) > schema["precision"]:
        raise ValueError("more digits than the schema has")
    whole = -whole if sign else whole
    size: int = schema["size"] if schema["type"] == "fixed" else (whole.bit_length() + 8) // 8
    return whole.to_bytes(size, "big", signed=True)


def _read_date(raw: int, _schema: Schema) -> str:
    return date.fromordinal(_EPOCH_DAY + raw).isoformat()


def _write_date(value: object, _schema: Schema) -> int:
    text = _text(value)
    if not _DATE.fullmatch(text):
        raise ValueError("no date")
    return date.fromisoformat(text).toordinal() - _EPOCH_DAY


def _read_time(places: int, raw: int, _schema: Schema) -> str:
    seconds, rest = divmod(raw, 10**places)
    if not 0 <= seconds < 86_400:
        raise ValueError(f"{raw} is no time of a day")
    minutes, second = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}.{rest:0{places}d}"


def _write_time(places: int, value: object, _schema: Schema) -> int:
    found = _TIME.fullmatch(_text(value))
    if found is None:
        raise ValueError("no time")
    seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])
    return seconds * _units(places) + _fraction(found[4], places)


def _units(places: int) -> int:
    units: int = 10**places
    return units


def _fraction(digits: str | None, places: int) -> int:
    digits = digits or ""
    if digits[places:].strip("0"):
        raise ValueError("more digits than the schema has")
    return int(digits[:places].ljust(places, "0"))


def _read_timestamp(places: int, zone: str, raw: int, _schema: Schema) -> str:
    seconds, rest = divmod(raw, 10**places)
    whole = (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]
    return f"{whole}.{rest:0{places}d}{zone}"


def _write_timestamp(places: int, zone: str, value: object, _schema: Schema) -> int:
    found = _TIMESTAMP.fullmatch(_text(value))
    if found is None or bool(zone) != bool(found[4] or found[5]):
        raise ValueError("no timestamp")
    whole = datetime.fromisoformat(f"{found[1]}T{found[2]}{found[5] or '+00:00'}")
    return (whole - _EPOCH) // timedelta(seconds=1) * _units(places) + _fraction(found[3], places)


def _read_uuid(raw: bytes, _schema: Schema) -> str:
    return str(UUID(bytes=raw))


def _write_uuid_text(value: object, _schema: Schema) -> str:
    UUID(_text(value))
    return _text(value)


def _write_uuid(value: object, _schema: Schema) -> bytes:
    return UUID(_text(value)).bytes


def _read_duration(raw: bytes, _schema: Schema) -> str:
    months, days, millis = (int.from_bytes(raw[at : at + 4], "little") for at in (0, 4, 8))
    return f"P{months}M{days}DT{millis // 1000}.{millis % 1000:03d}S"


def _write_duration(value: object, _schema: Schema) -> bytes:
    found = _DURATION.fullmatch(_text(value))
    if found is None:
        raise ValueError("no duration")
    millis = int(found[3]) * 1000 + _fraction(found[4], 3)
    return b"".join(part.to_bytes(4, "little") for part in (int(found[1]), int(found[2]), millis))


def _read_number(raw: float, _schema: Schema) -> object:
    if math.isfinite(raw):
        return raw
    return "NaN" if math.isnan(raw) else "Infinity" if raw > 0 else "-Infinity"


def _write_number(value: object, _schema: Schema) -> float:
    if isinstance(value, str):
        return _WORDS[value] if value in _WORDS else _no_number()
    if isinstance(value, bool) or not isinstance(value, int | float):
        _no_number()
    return float(value)  # type: ignore[arg-type]  # it is one of the two


def _no_number() -> float:
    raise ValueError("no number")


def _as_it_is(raw: object, _schema: Schema) -> object:
    return raw


_BASE64 = Form("base64", "base64 text", _read_base64, _write_base64)
_NUMBER = Form("number", "a number", _read_number, _write_number)
_DECIMAL = Form(
    "decimal", "a decimal number as text, of the schema's digits", _read_decimal, _write_decimal
)


def _time(places: int) -> Form:
    text = f"a time of day such as 13:45:00.{'0' * places}"
    return Form(f"time{places}", text, partial(_read_time, places), partial(_write_time, places))


def _timestamp(places: int, zone: str) -> Form:
    return Form(
        f"timestamp{places}{zone}",
        f"a timestamp such as 2026-01-31T13:45:00.{'0' * places}{zone}",
        partial(_read_timestamp, places, zone),
        partial(_write_timestamp, places, zone),
    )


_FORMS: Final[dict[tuple[str, str], Form]] = {
    ("bytes", ""): _BASE64,
    ("fixed", ""): _BASE64,
    ("float", ""): _NUMBER,
    ("double", ""): _NUMBER,
    ("bytes", "decimal"): _DECIMAL,
    ("fixed", "decimal"): _DECIMAL,
    ("int", "date"): Form("date", "a date such as 2026-01-31", _read_date, _write_date),
    ("int", "time-millis"): _time(3),
    ("long", "time-micros"): _time(6),
    ("long", "timestamp-millis"): _timestamp(3, "Z"),
    ("long", "timestamp-micros"): _timestamp(6, "Z"),
    ("long", "timestamp-nanos"): _timestamp(9, "Z"),
    ("long", "local-timestamp-millis"): _timestamp(3, ""),
    ("long", "local-timestamp-micros"): _timestamp(6, ""),
    ("long", "local-timestamp-nanos"): _timestamp(9, ""),
    ("string", "uuid"): Form("uuid-text", "a UUID", _as_it_is, _write_uuid_text),
    ("fixed", "uuid"): Form("uuid", "a UUID", _read_uuid, _write_uuid),
    ("fixed", "duration"): Form(
        "duration", "a duration such as P1M2DT3.004S", _read_duration, _write_duration
    ),
}
FORMS: Final = tuple((kind, form) for (kind, _), form in _FORMS.items())
"""Every form, with the Avro type that it is a form of."""
