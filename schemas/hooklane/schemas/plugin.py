"""Plugins: what a package has to bring to extend Hooklane, and what it is given. Stable: `API`.

A package names its plugin by an entry point; the entry point's name is the word that a subscription
writes where the word of something built in stands:

    hooklane.signing   signing: {scheme: NAME, secrets: [...]}      a `SigningPlugin`
    hooklane.auth      auth: {NAME: {secrets: {...}}}               an `AuthPlugin`
    hooklane.filters   match: {filters: [{NAME: ...}]}              a `FilterPlugin`
    hooklane.payload   payload: {mode: NAME}                        a `PayloadPlugin`
    hooklane.secrets   a reference to a secret, NAME:PATH           a `SecretsPlugin`

The entry point leads to a class, or any callable, with the attribute `api = 1`. It is called with
the options that the document has (a store's stand in the settings) and judges them: a `ValueError`
refuses the document, with its text. What it gives has the one method of its protocol. Both are
called in threads that Hooklane keeps for the plugin, several at once, and have a time limit; an
exception fails what was asked for, and that alone.

An exception's text goes no further than the log, since it may hold anything: raise `PluginFailure`
to say something to the operator. `docs/extending.md` has an example of each.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

API: Final = 1
"""The version of these protocols."""

Options: TypeAlias = Mapping[str, Any]
"""JSON values, as the document or the settings have them; empty where they have none."""

Headers: TypeAlias = Iterable[tuple[str, str]]
"""Names and values to add to a request. Not those that HTTP or Hooklane itself sets, such as
`host`, `content-type`, `ce-...` and `webhook-...`."""


class PluginFailure(Exception):  # noqa: N818 - a word for who writes plugins
    """What was asked for cannot be had now. Its text is shown, so it must hold no secret."""


class EventRefused(PluginFailure):
    """This event can never be sent as the subscription asks: a dead letter at once."""


class Message(NamedTuple):
    """One attempt's content, to be signed. `timestamp`: whole seconds since the epoch, of this
    attempt."""

    webhook_id: str
    timestamp: int
    body: bytes


class OutgoingRequest(NamedTuple):
    """A request as it is about to be sent, signature included; header names in lower case."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class PluginEvent:
    """An event as plugins see it: where it stands in Kafka, its CloudEvents attributes, its data.

    `attributes` has `id`, `source`, `type` and whatever else the publisher set, `partitionkey`
    among them where the key is text. `timestamp_ms`: of the record, since the epoch.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    attributes: Mapping[str, str]
    content_type: str
    data: bytes
    read: Callable[[], object] = field(repr=False, compare=False)

    def document(self) -> object:
        """The data as JSON values, to be changed at will: a copy each time. None where the data is
        no JSON."""
        return self.read()


class Body(NamedTuple):
    """What a request carries."""

    content_type: str
    body: bytes


class Fetched(NamedTuple):
    """A secret out of a store. It is used until `ttl_s` seconds are over, and asked for again
    before that; while the store cannot be reached, the last one stays in use."""

    value: bytes
    ttl_s: float = 300.0


class Signs(Protocol):
    """A signing scheme."""

    def sign(self, message: Message, secrets: Sequence[bytes]) -> Headers:
        """The headers that carry the signature. `secrets`: `signing.secrets`, the newest first."""


class Authenticates(Protocol):
    """A way to show a receiver who we are."""

    def headers(self, request: OutgoingRequest, secrets: Mapping[str, bytes]) -> Headers:
        """The headers to add. `secrets`: those of the document, by their names. It may wait for
        others, such as a token's server, up to the delivery's timeout."""


class Matches(Protocol):
    """A filter."""

    def matches(self, event: PluginEvent) -> bool:
        """Whether the event is wanted. Always the same answer for the same event, at once and
        without I/O: while it thinks, all other events wait."""


class Transforms(Protocol):
    """What makes bodies."""

    def transform(self, event: PluginEvent) -> Body:
        """The body, of at most `HOOKLANE_DELIVERY__MAX_REQUEST` bytes. The same at each attempt."""


class Fetches(Protocol):
    """A store of secrets."""

    def fetch(self, path: str) -> Fetched:
        """The secret at `path`, which is what follows `NAME:` in the reference."""


class SigningPlugin(Protocol):
    """Makes a `Signs` of `signing.options`."""

    api: int

    def __call__(self, options: Options, /) -> Signs: ...


class AuthPlugin(Protocol):
    """Makes an `Authenticates` of `auth.NAME.options`."""

    api: int

    def __call__(self, options: Options, /) -> Authenticates: ...


class FilterPlugin(Protocol):
    """Makes a `Matches` of what follows its name: any JSON value."""

    api: int

    def __call__(self, options: Any, /) -> Matches: ...


class PayloadPlugin(Protocol):
    """Makes a `Transforms` of `payload.options`."""

    api: int

    def __call__(self, options: Options, /) -> Transforms: ...


class SecretsPlugin(Protocol):
    """Makes a `Fetches` of `HOOKLANE_SECRETS__STORES`, once a process."""

    api: int

    def __call__(self, options: Options, /) -> Fetches: ...
