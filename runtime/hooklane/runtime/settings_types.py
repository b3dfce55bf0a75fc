"""The kinds of value that settings have beyond plain numbers and words."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetPydanticSchema,
    PlainSerializer,
    SecretStr,
)
from pydantic.config import JsonDict
from pydantic_core import core_schema

from hooklane.schemas.topics import Delay

URL_KIND: Final[JsonDict] = {"kind_text": "URL"}
"""How a URL is described in the page of settings."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SIZES = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"([0-9]+) ?(KiB|MiB|GiB|)")


def _delay(value: object) -> Delay:
    if isinstance(value, Delay):
        return value
    if not isinstance(value, str):
        # Pydantic takes a ValueError for a wrong value, and lets a TypeError through.
        raise ValueError(f"{value!r} has no unit: write such as 10s or 100ms")  # noqa: TRY004
    return Delay.parse(value)


def _size(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is not a size: write bytes, or such as 64KiB or 1MiB")
    return int(found[1]) * _SIZES[found[2]]


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(value)  # type: ignore[arg-type]  # whatever it is, it says what is wrong
    except ValueError as error:
        raise ValueError(f"{error}; write a network such as 10.0.0.0/8") from error


def _url(value: object) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise ValueError("must be a URL")  # noqa: TRY004 - as above
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        usable = False
    if not usable:
        # The text is not repeated: it may hold a password.
        raise ValueError("must be a URL such as http://host:8080")
    return SecretStr(text)


def topic_name(value: str) -> str:
    """A name that Kafka takes for a topic.

    Raises:
        ValueError: it is not one.
    """
    if not _TOPIC.fullmatch(value) or value in {".", ".."}:
        raise ValueError(
            f"{value!r} is no topic name: Kafka takes 1 to 249 of the characters a-z A-Z 0-9 . _ -"
        )
    return value


def topic_or_pattern(value: str) -> str:
    """A topic's name, or a regular expression that begins with `^`.

    Raises:
        ValueError: neither.
    """
    if not value.startswith("^"):
        return topic_name(value)
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from error
    return value


def _as_is(source: Any, _handler: Any) -> core_schema.CoreSchema:
    return core_schema.is_instance_schema(source)


Duration: TypeAlias = Annotated[
    Delay,
    GetPydanticSchema(_as_is),
    BeforeValidator(_delay),
    PlainSerializer(lambda delay: delay.text),
]
"""A time span, written `10s` or `100ms`; `.seconds` is a float."""

Size: TypeAlias = Annotated[int, BeforeValidator(_size)]
"""Bytes, written as a number or `64KiB`."""

Network: TypeAlias = Annotated[
    IPv4Network | IPv6Network, BeforeValidator(_network), PlainSerializer(str)
]
"""A CIDR network."""

SecretUrl: TypeAlias = Annotated[SecretStr, BeforeValidator(_url)]
"""An http(s) URL that may hold a user's name and password, so it is never shown whole."""


def header_name(value: str) -> str:
    """A header's name in lower case.

    Raises:
        ValueError: it is none.
    """
    if not _HEADER_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a header's name such as x-session")
    return value.lower()


class Section(BaseModel):
    """What all sections have in common: no unknown names, no change after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
