"""Where data does not fit its event type's schema."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MOST_FAULTS = 20
"""Faults that are named at once: what is wrong everywhere need not be said ten thousand times."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """`path` is a JSON path such as `$.lines[2].amount`; `text` never repeats the data's values."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


def json_path(parts: Iterable[str | int]) -> str:
    """The path of a value by the names and places that lead to it (RFC 9535)."""
    return "$" + "".join(_step(part) for part in parts)


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if _PLAIN.fullmatch(part) and len(part) <= _LONGEST_NAME:
        return f".{part}"
    name = part[:_LONGEST_NAME].replace("\\", "\\\\").replace("'", "\\'")
    return f"['{name}']"
