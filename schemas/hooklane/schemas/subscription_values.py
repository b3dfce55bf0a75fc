"""The single values of a subscription document: how each is read, and what to write instead.

Each type reads its text into a value that remembers the text, so that a document goes back to the
topic as it was written.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import (
    PlainSerializer,
    PlainValidator,
    SerializationInfo,
    ValidationInfo,
    WithJsonSchema,
)

from hooklane.schemas.plugged import NO_PLUGINS, Group, Plugins
from hooklane.schemas.subscription_faults import quoted
from hooklane.schemas.topics import Delay

SUBSCRIPTION_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")

_UID = re.compile(r"[A-Za-z0-9_-]{0,64}")
_ENV_NAME = re.compile(r"HOOKLANE_SECRET_[A-Z0-9_]+")
_FILE_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
_SEALED = re.compile(r"v1:[A-Za-z0-9+/_=:.-]+")
_STORE_PATH = re.compile(r"[!-~]{1,1024}")
_STORED = re.compile(r"[a-z][a-z0-9_-]*:[!-~]")
_RATE = re.compile(r"([1-9][0-9]{0,6})/(s|m|h)")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_RATE_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_DELAY_TEXT = 12

SHOWN = "shown"
"""The serialisation context in which a secret that stands in the document is only "set"."""

DEFAULT_TIERS = tuple(map(Delay.parse, ("5s", "30s", "5m", "30m", "2h", "5h", "10h")))


@dataclass(frozen=True, slots=True)
class ServicePolicy:
    """What this installation allows a subscription. The defaults are the settings' defaults."""

    tiers: tuple[Delay, ...] = DEFAULT_TIERS
    allow_http: bool = False
    allow_plaintext_secrets: bool = False
    plugins: Plugins = NO_PLUGINS


def policy_of(info: ValidationInfo) -> ServicePolicy:
    """The policy that a document is judged by; the strict default without one."""
    return info.context if isinstance(info.context, ServicePolicy) else ServicePolicy()


class EngineName(StrEnum):
    """An HTTP client."""

    NATIVE = "native"
    HTTPX = "httpx"


class SecretKind(StrEnum):
    """Where a secret's value is."""

    ENV = "env"
    """An environment variable of the service; `SecretRef.value` is its name."""
    FILE = "file"
    """A file in the secrets folder; `SecretRef.value` is its name."""
    ENC = "enc"
    """Encrypted under the services' key; `SecretRef.value` is what follows `enc:`."""
    PLAIN = "plain"
    """In the document itself; only where a setting allows it."""
    STORE = "store"
    """In a plugin's store; `SecretRef.value` is the whole reference, `NAME:PATH`."""


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is. Its text form never shows a secret that stands in the document."""

    kind: SecretKind
    value: str = field(repr=False)

    def written(self) -> str:
        """As it stands in the document: a secret itself where `kind` is PLAIN."""
        whole = self.kind is SecretKind.PLAIN or self.kind is SecretKind.STORE
        return self.value if whole else f"{self.kind}:{self.value}"

    def __str__(self) -> str:
        return "set" if self.kind is SecretKind.PLAIN else self.written()


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `count` requests in each `per_s` seconds."""

    count: int
    per_s: float
    text: str = field(compare=False)


def _text(value: object, example: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, such as {example}")  # noqa: TRY004 - pydantic's way
    return value


def _subscription_id(value: object) -> str:
    text = _text(value, "billing-invoices")
    if not SUBSCRIPTION_ID.fullmatch(text):
        raise ValueError(
            f"{quoted(text)} is not an id: write 1 to 128 of a-z 0-9 . _ - beginning with"
            " a letter or digit"
        )
    return text


def _uid(value: object) -> str:
    text = _text(value, "01JD0000000000000000000000")
    if not _UID.fullmatch(text):
        raise ValueError("must be at most 64 letters, digits, - or _: leave it to `apply`")
    return text


def parse_instant(value: object) -> datetime:
    """An RFC 3339 time with its offset.

    Raises:
        ValueError: not such a text.
    """
    text = _text(value, "2026-11-01T00:00:00Z")
    if not _INSTANT.fullmatch(text):
        raise ValueError(f"{quoted(text)} is not a time with its zone: 2026-11-01T00:00:00Z")
    try:
        instant = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a time: 2026-11-01T00:00:00Z") from None
    if abs(instant.utcoffset() or timedelta()) >= timedelta(days=1):
        raise ValueError(f"{quoted(text)} is not a time: its offset is a day or more")
    return instant


def instant_text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _delay(value: object) -> Delay:
    text = _text(value, "15s")
    # The cap comes first: an endless run of digits has no float.
    if len(text) > _LONGEST_DELAY_TEXT or text != text.strip():
        raise ValueError(f"{quoted(text)} is not a duration: write it like 15s or 5m")
    try:
        return Delay.parse(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a duration: write it like 15s or 5m") from None


_LONGEST_TIMEOUT = Delay.parse("10m")


def _timeout(value: object) -> Delay:
    delay = _delay(value)
    if delay > _LONGEST_TIMEOUT:
        raise ValueError(f"{delay.text} is too long: at most {_LONGEST_TIMEOUT.text}")
    return delay


def _tier(value: object, info: ValidationInfo) -> Delay:
    delay = _delay(value)
    tiers = policy_of(info).tiers
    for tier in tiers:
        if tier == delay:
            # The service's own spelling: `text` names the tier's topic.
            return tier
    raise ValueError(
        f"{delay.text} is not a tier of this service: write one of"
        f" {', '.join(tier.text for tier in tiers)}"
    )


def _rate_limit(value: object) -> RateLimit:
    return parse_rate(_text(value, "100/s"))


def parse_rate(text: str) -> RateLimit:
    """Read `100/s`, `600/m` or `1000/h`.

    Raises:
        ValueError: it is not written so.
    """
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(f"{quoted(text)} is not a rate: write it like 100/s, 600/m or 1000/h")
    return RateLimit(int(found[1]), _RATE_SECONDS[found[2]], text)


def _secret(value: object, info: ValidationInfo) -> SecretRef:
    text = _text(value, "env:HOOKLANE_SECRET_NAME")
    kind, _, rest = text.partition(":")
    match kind:
        case "env":
            if not _ENV_NAME.fullmatch(rest):
                raise ValueError("env: must name a variable HOOKLANE_SECRET_..., in A-Z 0-9 _")
            return SecretRef(SecretKind.ENV, rest)
        case "file":
            if not _FILE_NAME.fullmatch(rest) or rest.strip(".") == "":
                raise ValueError("file: must be the plain name of a file in the secrets folder")
            return SecretRef(SecretKind.FILE, rest)
        case "enc":
            if not _SEALED.fullmatch(rest):
                raise ValueError("enc: must be what `hooklane secrets encrypt` printed")
            return SecretRef(SecretKind.ENC, rest)
        case _ if kind in policy_of(info).plugins.names(Group.SECRETS):
            if not _STORE_PATH.fullmatch(rest):
                raise ValueError(
                    f"{kind}: must name a secret of that store in up to 1024 characters, no spaces"
                )
            return SecretRef(SecretKind.STORE, text)
        case _:
            return _plaintext(text, info)


def _plaintext(text: str, info: ValidationInfo) -> SecretRef:
    policy = policy_of(info)
    if not policy.allow_plaintext_secrets:
        stores = "".join(f", {name}:PATH" for name in policy.plugins.names(Group.SECRETS))
        raise ValueError(
            "is a secret in plain text: write env:HOOKLANE_SECRET_..., file:NAME or enc:v1:..."
            f"{stores}{_unknown_store(text)}"
        )
    if not text or not text.isprintable():
        raise ValueError("must be printable text that is not empty")
    return SecretRef(SecretKind.PLAIN, text)


def _unknown_store(text: str) -> str:
    """What looks like a store's reference may be one whose plugin is not here."""
    return " (a store's plugin has to be installed here too)" if _STORED.match(text) else ""


def _secret_text(secret: SecretRef, info: SerializationInfo) -> str:
    return str(secret) if info.context == SHOWN else secret.written()


_TEXT = WithJsonSchema({"type": "string"})
_AS_WRITTEN = PlainSerializer(lambda value: value.text, return_type=str)

SubscriptionId = Annotated[
    str,
    PlainValidator(_subscription_id),
    WithJsonSchema({"type": "string", "pattern": f"^{SUBSCRIPTION_ID.pattern}$"}),
]
Uid = Annotated[str, PlainValidator(_uid), _TEXT]
Instant = Annotated[
    datetime,
    PlainValidator(parse_instant),
    PlainSerializer(instant_text, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Timeout = Annotated[Delay, PlainValidator(_timeout), _AS_WRITTEN, _TEXT]
Tier = Annotated[Delay, PlainValidator(_tier), _AS_WRITTEN, _TEXT]
Rate = Annotated[RateLimit, PlainValidator(_rate_limit), _AS_WRITTEN, _TEXT]
Secret = Annotated[
    SecretRef,
    PlainValidator(_secret),
    PlainSerializer(_secret_text, return_type=str),
    # A secret in the clear is for trials only, so other tools need not take it.
    WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_-]*:."}),
]


def instant_from_ms(timestamp_ms: int) -> datetime:
    """Milliseconds since the epoch as an aware time, to the millisecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=timestamp_ms)
