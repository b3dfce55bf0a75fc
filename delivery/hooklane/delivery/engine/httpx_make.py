"""What makes the transports of the settings, found by its name and tried once."""

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import httpx

from hooklane.delivery.engine.httpx_lines import Make
from hooklane.runtime.errors import SettingsError

_NAME: Final = "HOOKLANE_DELIVERY__TRANSPORT"
_OPTIONS: Final = f"{_NAME}_OPTIONS"
_PLACE: Final = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


def named_transport(name: str, options: Mapping[str, Any]) -> Make:
    """Makes transports by the callable `package.module:name`, which gets `verify` and `options`.

    Raises:
        SettingsError: there is no such callable; from what it makes, that it is no transport.
    """
    call = _called(name)
    if options.get("http2") is True and find_spec("h2") is None:
        raise SettingsError(
            f"{_OPTIONS} asks for http2, which needs the package h2: install 'hooklane[http2]'."
        )

    def make(context: ssl.SSLContext) -> httpx.AsyncBaseTransport:
        try:
            made = call(verify=context, **options)
        except Exception as error:
            raise SettingsError(
                f"{_NAME}: {name} cannot be called with verify and {_OPTIONS}"
                f" ({_reason(error, options)})."
            ) from error
        if not isinstance(made, httpx.AsyncBaseTransport):
            raise SettingsError(
                f"{_NAME}: {name} makes no httpx.AsyncBaseTransport but a {type(made).__name__}."
            )
        return made

    return make


def _called(name: str) -> Callable[..., object]:
    place = _PLACE.fullmatch(name)
    if place is None:
        raise SettingsError(
            f"{_NAME} must be package.module:callable, such as httpx:AsyncHTTPTransport."
        )
    try:
        found: object = reduce(getattr, place[2].split("."), import_module(place[1]))
    except Exception as error:
        raise SettingsError(
            f"{_NAME}: {name} cannot be imported ({_reason(error, {})})."
        ) from error
    if not callable(found):
        raise SettingsError(f"{_NAME}: {name} cannot be called; name a class or a function.")
    return found


def _reason(error: Exception, options: Mapping[str, Any]) -> str:
    """What it says in one line, without what the options say: they may hold passwords."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    for value in _texts(options):
        text = text.replace(value, "...")
    return text


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield from {value} - {""}
        case Mapping():
            yield from (text for one in value.values() for text in _texts(one))
        case list():
            yield from (text for one in value for text in _texts(one))
        case _:
            return
