"""Keeps secrets out of what is written: known values wherever they stand, and telling names."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

REDACTED: Final = "[redacted]"

_HEAD: Final = 4
_INT64: Final = 2**63
_TELLING: Final = re.compile(
    r"passw|passphrase|secret|token|authorization|cookie|credential|api[-_]?key|private[-_.]?key",
    re.IGNORECASE,
)


class KnownSecrets:
    """Values that must never be written.

    Looked up by their first characters and length, so that a line costs the same with one secret
    and with ten thousand. Values under four characters are not kept: they would be found in
    every other word.
    """

    def __init__(self) -> None:
        self._by_head: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))

    def add(self, secret: str | bytes) -> None:
        """Keep this value out from now on."""
        value = secret.decode("utf-8", "replace") if isinstance(secret, bytes) else secret
        for line in {value, value.strip()}:
            if len(line) >= _HEAD:
                self._by_head[line[:_HEAD]][len(line)].add(line)

    def redact(self, text: str) -> str:
        """`text` with every known value replaced."""
        if not self._by_head:
            return text
        kept: list[str] = []
        start = place = 0
        while place <= len(text) - _HEAD:
            length = self._match(text, place)
            if length:
                kept += (text[start:place], REDACTED)
                start = place = place + length
            else:
                place += 1
        kept.append(text[start:])
        return "".join(kept)

    def _match(self, text: str, place: int) -> int:
        by_length = self._by_head.get(text[place : place + _HEAD])
        if by_length is None:
            return 0
        return max(
            (n for n, values in by_length.items() if text[place : place + n] in values), default=0
        )


def redacted(value: object, secrets: KnownSecrets, name: str = "") -> object:
    """`value` as plain JSON values without secrets. `name`: what it is called where it stands."""
    if value is None or isinstance(value, bool | float) or _fits(value):
        return value
    if _TELLING.search(name):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(k): redacted(v, secrets, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _redacted_items(tuple(value), secrets)
    return secrets.redact(_text(value))


def _fits(value: object) -> bool:
    """Whether it is a whole number that JSON writers take."""
    return isinstance(value, int) and -_INT64 <= value < _INT64


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    text = value if isinstance(value, str) else repr(value)
    # A lone surrogate is no UTF-8; a log line must not fail for it.
    return text.encode("utf-8", "backslashreplace").decode()


def _redacted_items(items: tuple[object, ...], secrets: KnownSecrets) -> list[object]:
    if len(items) == 2 and isinstance(items[0], str):
        # A pair may be a header: its name tells.
        return [secrets.redact(items[0]), redacted(items[1], secrets, items[0])]
    return [redacted(one, secrets) for one in items]
