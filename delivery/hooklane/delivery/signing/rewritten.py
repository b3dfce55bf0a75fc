"""How a body may have been changed on its way by software that meant no harm. Pure."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any, Final, NamedTuple

_LARGEST: Final = 256 * 1024
"""There are some eighty writings of one JSON document."""
_BOM: Final = b"\xef\xbb\xbf"


class Rewritten(NamedTuple):
    """Other bytes, and how they differ from those that were given. `as_json`: the same JSON."""

    body: bytes
    how: str
    as_json: bool


def rewritten(body: bytes) -> Iterator[Rewritten]:
    """What may have been signed, if this came out of it. None of it equals `body`."""
    if len(body) > _LARGEST:
        return
    seen = {body}
    for one in (*_framed(body), *_written_anew(body)):
        if one.body not in seen:
            seen.add(one.body)
            yield one


def _framed(body: bytes) -> Iterator[Rewritten]:
    """Editors and shells change ends."""
    yield Rewritten(body.rstrip(b"\r\n"), "without the line break at its end", as_json=False)
    yield Rewritten(body + b"\n", "with a line break at its end", as_json=False)
    yield Rewritten(body.strip(), "without the white space around it", as_json=False)
    yield Rewritten(body.removeprefix(_BOM), "without a byte order mark", as_json=False)
    lines = body.replace(b"\r\n", b"\n")
    yield Rewritten(lines, "with LF as its line ends", as_json=False)
    yield Rewritten(lines.replace(b"\n", b"\r\n"), "with CRLF as its line ends", as_json=False)


def _written_anew(body: bytes) -> Iterator[Rewritten]:
    """Frameworks parse JSON and write it again."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return
    for (layout, options), ascii_only, in_order in product(_LAYOUTS, (False, True), (False, True)):
        text = json.dumps(document, ensure_ascii=ascii_only, sort_keys=in_order, **options)
        how = layout + (", in ASCII" if ascii_only else "") + (", sorted" if in_order else "")
        for written, more in ((text, ""), (text.replace("/", "\\/"), r", with \/")):
            # A lone surrogate in the document cannot be written but as an escape.
            data = written.encode("utf-8", "surrogatepass")
            yield Rewritten(data, how + more, as_json=True)
            yield Rewritten(
                data + b"\n", f"{how}{more}, with a line break at its end", as_json=True
            )


_LAYOUTS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("compact", {"separators": (",", ":")}),
    ("with spaces after , and :", {}),
    ("indented by 2", {"indent": 2}),
    ("indented by 4", {"indent": 4}),
    ("indented by tabs", {"indent": "\t"}),
)
