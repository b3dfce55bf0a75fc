"""Finds a member of a JSON object as it was written, so that no number in it changes."""

import json
import re
from typing import Final

_BLANK = re.compile(r"[ \t\n\r]*")
# Numbers stay text: nothing looks at them here, and a number of 5,000 digits would be refused.
_SCANNER: Final = json.JSONDecoder(parse_float=str, parse_int=str)


def raw_member(text: str, name: str) -> str:
    """The text of the object's member `name`; of several the last one.

    Raises:
        ValueError: `text` is not a JSON object with such a member.
        RecursionError: it is nested too deeply; read it by `read_json` first, which refuses that.
    """
    raw: str | None = None
    place = _after(text, _skip(text, 0), "{")
    if text[place : place + 1] != "}":
        while True:
            member, end = _SCANNER.raw_decode(text, place)
            start = _skip(text, _after(text, _skip(text, end), ":"))
            end = _SCANNER.raw_decode(text, start)[1]
            if member == name:
                raw = text[start:end]
            place = _skip(text, end)
            if text[place : place + 1] != ",":
                break
            place = _skip(text, place + 1)
    if raw is None:
        raise ValueError(f"the object has no member {name}")
    return raw


def _skip(text: str, place: int) -> int:
    found = _BLANK.match(text, place)
    return place if found is None else found.end()


def _after(text: str, place: int, sign: str) -> int:
    if text[place : place + 1] != sign:
        raise ValueError(f"no {sign} at {place}")
    return _skip(text, place + 1)
