"""`payload: {mode: flat}`: a form, for receivers that know no JSON."""

from collections.abc import Iterator
from urllib.parse import urlencode

from hooklane.schemas.plugin import Body, EventRefused, Options, PluginEvent


class Flat:
    """`{"order": {"lines": [{"n": 1}]}}` as `order.lines.0.n=1`, after the event's type."""

    api = 1

    def __init__(self, options: Options) -> None:
        if options:
            raise ValueError("flat has no options")

    def transform(self, event: PluginEvent) -> Body:
        document = event.document()
        if not isinstance(document, dict):
            raise EventRefused("its data is no JSON object")
        pairs = [("type", event.attributes["type"]), *_flat("", document)]
        return Body("application/x-www-form-urlencoded", urlencode(pairs).encode())


def _flat(place: str, value: object) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            items = [(str(name), one) for name, one in value.items()]
        case list():
            items = [(str(number), one) for number, one in enumerate(value)]
        case _:
            yield place, "" if value is None else str(value)
            return
    for name, one in items:
        yield from _flat(f"{place}.{name}" if place else name, one)
