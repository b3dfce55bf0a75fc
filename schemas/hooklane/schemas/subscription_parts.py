"""The parts of a subscription document."""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PlainValidator,
    PrivateAttr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from hooklane.schemas.filters import Filter, check_filters
from hooklane.schemas.plugged import Group, Plugged
from hooklane.schemas.subscription_faults import FaultAtError, no_field, quoted
from hooklane.schemas.subscription_url import HeaderName, HeaderValue, Url
from hooklane.schemas.subscription_values import (
    EngineName,
    Rate,
    Secret,
    Tier,
    Timeout,
    policy_of,
)
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


def _word(value: object, info: ValidationInfo, own: type[StrEnum], group: Group) -> str:
    """One of our own words, or a plugin's name."""
    plugins = policy_of(info).plugins
    if isinstance(value, str):
        for word in own:
            if word == value:
                return word
        if value in plugins.names(group):
            return value
    *others, last = [*(word.value for word in own), *plugins.names(group)]
    hint = f" (a plugin of {group} has to be installed here too)" if isinstance(value, str) else ""
    raise ValueError(f"must be {', '.join(others)} or {last}{hint}")


def _scheme(value: object, info: ValidationInfo) -> str:
    return _word(value, info, SigningScheme, Group.SIGNING)


def _mode(value: object, info: ValidationInfo) -> str:
    return _word(value, info, PayloadMode, Group.PAYLOAD)


def _plugged(info: ValidationInfo, group: Group, name: str, options: object, at: str) -> Plugged:
    try:
        return policy_of(info).plugins.plugged(group, name, options)
    except ValueError as error:
        raise FaultAtError(at, str(error)) from None


def _by_word(
    info: ValidationInfo, group: Group, field: str, word: str, options: dict[str, Any] | None
) -> Plugged | None:
    """The plugin whose name stands in `field`; None where one of our own words does."""
    if not isinstance(word, StrEnum):
        return _plugged(info, group, word, options or {}, "options")
    if options is not None:
        raise ValueError(f"must have a plugin's {field} for its options")
    return None


_STRING = WithJsonSchema({"type": "string"})
TopicGlob = Annotated[str, PlainValidator(_topic_glob), _STRING]
TypeGlob = Annotated[str, PlainValidator(_type_glob), _STRING]
ShortText = Annotated[str, PlainValidator(lambda value: _text_of(value, 1024)), _STRING]
Template = Annotated[str, PlainValidator(_template), _STRING]
Scheme = Annotated[
    str, PlainValidator(_scheme), WithJsonSchema({"type": "string", "examples": [*SigningScheme]})
]
Mode = Annotated[
    str, PlainValidator(_mode), WithJsonSchema({"type": "string", "examples": [*PayloadMode]})
]
Options = dict[str, JsonValue]
"""What a plugin is told. JSON values, no secrets among them."""


class Match(Part):
    """Which events: all three must hold, and what is absent holds for every event."""

    topics: Annotated[tuple[TopicGlob, ...], AfterValidator(_globs)] | None = None
    types: Annotated[tuple[TypeGlob, ...], AfterValidator(_globs)] | None = None
    filters: Annotated[tuple[Filter, ...], AfterValidator(check_filters)] = ()


class Payload(Part):
    """What the body is. `template` and `content_type` belong to the mode `template` only,
    `options` to the modes of plugins."""

    mode: Mode = PayloadMode.BINARY
    template: Template | None = None
    content_type: ShortText | None = None
    options: Options | None = None
    _plugged: Plugged | None = PrivateAttr(default=None)

    @property
    def plugged(self) -> Plugged | None:
        """What makes the body, where the mode is a plugin's."""
        return self._plugged

    @model_validator(mode="after")
    def _plug(self, info: ValidationInfo) -> "Payload":
        self._plugged = _by_word(info, Group.PAYLOAD, "mode", self.mode, self.options)
        return self

    @model_validator(mode="after")
    def _check_template(self) -> "Payload":
        if self.mode == PayloadMode.TEMPLATE:
            if self.template is None:
                raise ValueError("must have a template where its mode is template")
        elif self.template is not None or self.content_type is not None:
            raise ValueError("must have mode: template for its template and content_type")
        if self.content_type is not None and not _MEDIA_TYPE.fullmatch(self.content_type):
            raise ValueError("must have a media type as content_type, such as application/json")
        return self


class Signing(Part):
    """How requests are signed. During a rotation the standard and stripe schemes take several, and
    those of plugins, whose `options` these are."""

    scheme: Scheme = SigningScheme.STANDARD
    secrets: tuple[Secret, ...]
    options: Options | None = None
    _plugged: Plugged | None = PrivateAttr(default=None)

    @property
    def plugged(self) -> Plugged | None:
        """What signs, where the scheme is a plugin's."""
        return self._plugged

    @model_validator(mode="after")
    def _plug(self, info: ValidationInfo) -> "Signing":
        self._plugged = _by_word(info, Group.SIGNING, "scheme", self.scheme, self.options)
        return self

    @model_validator(mode="after")
    def _check_count(self) -> "Signing":
        if not 1 <= len(self.secrets) <= 10:
            raise ValueError("must have 1 to 10 secrets")
        several = self.plugged is not None or self.scheme in ("standard", "stripe")
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


class PluginAuth(Part):
    """What a plugin needs: secrets by its own names for them, and options that are none."""

    secrets: Annotated[dict[str, Secret], Field(max_length=10)] = Field(default_factory=dict)
    options: Options | None = None


class PluggedAuth(NamedTuple):
    """A plugin's name, what the document says to it, and itself."""

    name: str
    part: PluginAuth
    plugin: Plugged


class Auth(Part):
    """How we show who we are. One that sets a header; `mtls` may stand beside it or alone.

    A plugin's name stands where one of these does; pydantic has it as an extra field.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, PluginAuth] = Field(init=False)

    bearer: BearerAuth | None = None
    basic: BasicAuth | None = None
    header: HeaderAuth | None = None
    oauth2: OAuth2Auth | None = None
    mtls: MtlsAuth | None = None
    _plugged: Plugged | None = PrivateAttr(default=None)

    @property
    def plugged(self) -> "PluggedAuth | None":
        """A plugin, where one is named."""
        if self._plugged is None:
            return None
        name, part = next(iter(self.__pydantic_extra__.items()))
        return PluggedAuth(name, part, self._plugged)

    @model_validator(mode="after")
    def _plug(self, info: ValidationInfo) -> "Auth":
        for name, part in self.__pydantic_extra__.items():
            names = policy_of(info).plugins.names(Group.AUTH)
            if name not in names:
                raise FaultAtError(name, no_field([*type(self).model_fields, *names]))
            self._plugged = _plugged(info, Group.AUTH, name, part.options or {}, name)
        return self

    @model_validator(mode="after")
    def _check_one(self) -> "Auth":
        given = sum(one is not None for one in (self.bearer, self.basic, self.header, self.oauth2))
        given += len(self.__pydantic_extra__)
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
