"""The parts of a subscription document."""

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from hooklane.schemas.filters import Filter, check_filters
from hooklane.schemas.subscription_faults import quoted
from hooklane.schemas.subscription_url import HeaderName, HeaderValue, Url
from hooklane.schemas.subscription_values import EngineName, Rate, Secret, Tier, Timeout
from hooklane.schemas.template import TemplateError, read_template
from hooklane.schemas.topics import Delay

MOST_GLOBS = 1000
LONGEST_TEMPLATE = 16 * 1024

_TOPIC_GLOB = re.compile(r"[A-Za-z0-9._*?-]{1,249}")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(; ?[!-~]+)*")


class Part(BaseModel):
    """Strict: no conversions, no unknown fields, no change afterwards."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class State(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    """Deliveries wait in the backlog."""
    DISABLED = "disabled"
    """Deliveries are discarded."""


class Ordering(StrEnum):
    KEY = "key"
    NONE = "none"


class PayloadMode(StrEnum):
    BINARY = "binary"
    STRUCTURED = "structured"
    TEMPLATE = "template"


class SigningScheme(StrEnum):
    STANDARD = "standard"
    GITHUB = "github"
    STRIPE = "stripe"
    SHOPIFY = "shopify"
    SLACK = "slack"


class OnExhausted(StrEnum):
    DEAD_LETTER = "dead-letter"
    HALT = "halt"


def _topic_glob(value: object) -> str:
    if not isinstance(value, str) or not _TOPIC_GLOB.fullmatch(value):
        raise ValueError(
            f"{quoted(value)} is not a topic or a glob of topics: write a-z A-Z 0-9 . _ - * ?"
        )
    return value


def _type_glob(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > 1024:
        raise ValueError("must be an event type or a glob of types, of 1 to 1024 characters")
    return value


def _globs(globs: tuple[str, ...]) -> tuple[str, ...]:
    if not globs:
        raise ValueError("must not be empty: leave it out to take all")
    if len(globs) > MOST_GLOBS:
        raise ValueError(f"has too many entries: at most {MOST_GLOBS}")
    return globs


def _text_of(value: object, longest: int) -> str:
    if not isinstance(value, str) or not value or len(value) > longest:
        raise ValueError(f"must be text of 1 to {longest} characters")
    return value


def _template(value: object) -> str:
    text = _text_of(value, LONGEST_TEMPLATE)
    try:
        read_template(text)
    except TemplateError as error:
        raise ValueError(f"cannot be read as Liquid: {error}") from None
    return text


_STRING = WithJsonSchema({"type": "string"})
TopicGlob = Annotated[str, PlainValidator(_topic_glob), _STRING]
TypeGlob = Annotated[str, PlainValidator(_type_glob), _STRING]
ShortText = Annotated[str, PlainValidator(lambda value: _text_of(value, 1024)), _STRING]
Template = Annotated[str, PlainValidator(_template), _STRING]


class Match(Part):
    """Which events: all three must hold, and what is absent holds for every event."""

    topics: Annotated[tuple[TopicGlob, ...], AfterValidator(_globs)] | None = None
    types: Annotated[tuple[TypeGlob, ...], AfterValidator(_globs)] | None = None
    filters: Annotated[tuple[Filter, ...], AfterValidator(check_filters)] = ()


class Payload(Part):
    """What the body is. `template` and `content_type` belong to the mode `template` only."""

    mode: PayloadMode = PayloadMode.BINARY
    template: Template | None = None
    content_type: ShortText | None = None

    @model_validator(mode="after")
    def _check_template(self) -> "Payload":
        if self.mode is PayloadMode.TEMPLATE:
            if self.template is None:
                raise ValueError("must have a template where its mode is template")
        elif self.template is not None or self.content_type is not None:
            raise ValueError("must have mode: template for its template and content_type")
        if self.content_type is not None and not _MEDIA_TYPE.fullmatch(self.content_type):
            raise ValueError("must have a media type as content_type, such as application/json")
        return self


class Signing(Part):
    """How requests are signed. During a rotation the standard and stripe schemes take several."""

    scheme: SigningScheme = SigningScheme.STANDARD
    secrets: tuple[Secret, ...]

    @model_validator(mode="after")
    def _check_count(self) -> "Signing":
        if not 1 <= len(self.secrets) <= 10:
            raise ValueError("must have 1 to 10 secrets")
        several = self.scheme in (SigningScheme.STANDARD, SigningScheme.STRIPE)
        if len(self.secrets) > 1 and not several:
            raise ValueError(f"must have one secret: {self.scheme} has room for one signature")
        return self


class BearerAuth(Part):
    token: Secret


class BasicAuth(Part):
    username: ShortText
    password: Secret

    @model_validator(mode="after")
    def _check_username(self) -> "BasicAuth":
        # RFC 7617, section 2: a colon would end the user-id.
        if ":" in self.username or not self.username.isprintable():
            raise ValueError("must have a username without a colon and control characters")
        return self


class HeaderAuth(Part):
    name: HeaderName
    value: Secret


class OAuth2Auth(Part):
    """Client credentials, RFC 6749 section 4.4."""

    token_url: Url
    client_id: ShortText
    client_secret: Secret
    scopes: tuple[ShortText, ...] = ()
    audience: ShortText | None = None


class MtlsAuth(Part):
    """The client's certificate (with its chain) and its key, both PEM."""

    certificate: Secret
    key: Secret


class Auth(Part):
    """How we show who we are. One that sets a header; `mtls` may stand beside it or alone."""

    bearer: BearerAuth | None = None
    basic: BasicAuth | None = None
    header: HeaderAuth | None = None
    oauth2: OAuth2Auth | None = None
    mtls: MtlsAuth | None = None

    @model_validator(mode="after")
    def _check_one(self) -> "Auth":
        given = sum(one is not None for one in (self.bearer, self.basic, self.header, self.oauth2))
        if given > 1 or (given == 0 and self.mtls is None):
            raise ValueError(
                "must have exactly one of bearer, basic, header, oauth2; mtls may stand beside"
                " it or alone"
            )
        return self


class DeliveryLimits(Part):
    """How requests are made. `timeout` is the whole exchange's, the connect included; `ca` are
    the authorities (PEM) that the receiver's certificate is checked against instead of ours.
    `handshake`: the receiver is asked first, as CloudEvents' HTTP webhooks have it."""

    timeout: Timeout = Delay.parse("15s")
    connect_timeout: Timeout = Delay.parse("5s")
    first_byte_timeout: Timeout | None = None
    max_in_flight: int = Field(default=32, ge=1, le=10_000)
    rate_limit: Rate | None = None
    engine: EngineName | None = None
    ca: Secret | None = None
    handshake: bool = False


class Retry(Part):
    """`schedule` absent: the service's tiers in order. An empty one: no retries."""

    schedule: Annotated[tuple[Tier, ...], Field(max_length=1000)] | None = None
    on_exhausted: OnExhausted = OnExhausted.DEAD_LETTER
    give_up_on: Annotated[
        tuple[Annotated[int, Field(ge=300, le=599)], ...], Field(max_length=300)
    ] = ()


Headers = dict[HeaderName, HeaderValue]
Format = Literal[1]
