"""Headers as people have them at hand: from a log, from `curl -v`, as JSON. Pure."""

import json
import re
from collections.abc import Iterable

from hooklane.runtime.errors import UsageError

_LINE = re.compile(r"\s*(?:[<>*]\s+)?(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s?(?P<value>.*)")


def headers_from(text: str, more: Iterable[str] = ()) -> dict[str, str]:
    """By names in lower case; of two of one name the last. `more`: single lines of them.

    A request line and empty lines are passed over; `>` before a line, as curl prints it, too.

    Raises:
        UsageError: a line is no header.
    """
    if text.lstrip().startswith("{"):
        found = _document(text)
    else:
        found = dict(_pair(line) for line in text.splitlines() if _is_header(line))
    return found | dict(map(_pair, more))


def _is_header(line: str) -> bool:
    bare = line.strip().lstrip("<>* ")
    return bool(bare) and not re.match(r"[A-Z]+ \S+ HTTP/|HTTP/", bare)


def _pair(line: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise UsageError(f"{line.strip()[:80]!r} is no header: write name: value, one a line.")
    return found["name"].lower(), found["value"].strip()


def _document(text: str) -> dict[str, str]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise UsageError(f"The headers begin as JSON and are none: {error}.") from error
    return {str(name).lower(): _text(value) for name, value in document.items()}


def _text(value: object) -> str:
    """Of a list of values, as some frameworks have them, the last."""
    while isinstance(value, list):
        value = value[-1] if value else ""
    return str(value).strip()
