"""Takes an event's attributes one by one: keeps the good ones, counts the others."""

from functools import lru_cache

from hooklane.schemas.cloudevents import (
    CORE,
    MAX_EXTENSIONS,
    MAX_VALUE,
    attribute_fault,
    extension_size,
)

_INT32 = range(-(2**31), 2**31)

# Attributes of which a topic has few values, so that it pays to remember them: 2 of 8 µs an event.
_FEW = frozenset(("specversion", "source", "type", "dataschema"))


@lru_cache(maxsize=1024)
def _good_text(name: str, value: bytes) -> str | None:
    """The text of a core attribute's value, or None if it is bad. At most 4 MiB are remembered."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if attribute_fault(name, text) is None else None


class Attributes:
    """The attributes found so far in `found`, and in `dropped` how many were bad."""

    __slots__ = ("_extensions", "dropped", "found")

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.dropped = 0
        self._extensions = 0

    def take_bytes(self, name: str, value: bytes | None) -> None:
        """One from a record header: UTF-8 text."""
        if value is None or len(value) > MAX_VALUE:
            self.dropped += 1
            return
        if name in _FEW:
            text = _good_text(name, value)
            if text is None:
                self.dropped += 1
            else:
                self.found[name] = text
            return
        try:
            text = value.decode()
        except UnicodeDecodeError:
            self.dropped += 1
            return
        self.take(name, text)

    def take_json(self, name: str, value: object) -> None:
        """One from a JSON document: a string, a 32-bit integer or a boolean; null is none at all.

        CloudEvents JSON format 1.0, section 2.2; the text of an integer or a boolean is the
        canonical one of the type system.
        """
        match value:
            case None:
                pass
            case str():
                self.take(name, value)
            case bool():
                self.take(name, "true" if value else "false")
            case int() if value in _INT32:
                self.take(name, str(value))
            case _:
                self.dropped += 1

    def take(self, name: str, text: str) -> None:
        if attribute_fault(name, text) is not None or not self._fits(name, text):
            self.dropped += 1
        else:
            self.found[name] = text

    def _fits(self, name: str, text: str) -> bool:
        if name in CORE:
            return True
        size = self._extensions + extension_size(name, text)
        if size > MAX_EXTENSIONS:
            return False
        self._extensions = size
        return True
