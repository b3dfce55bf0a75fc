"""What plugins answer, judged, and what is made of it: bodies, signatures, credentials."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from hooklane.delivery.auth.credentials import Credentials
from hooklane.delivery.exchange import Request
from hooklane.delivery.headers import plugin_header_fault
from hooklane.delivery.payload import Payload
from hooklane.schemas.cloudevents_content_type import is_content_type
from hooklane.schemas.event import Event
from hooklane.schemas.filters import filter_attributes
from hooklane.schemas.plugged import Plugged, PluginError, plugin_event
from hooklane.schemas.plugin import Body, Message, OutgoingRequest
from hooklane.schemas.subscription_parts import PluggedAuth

_MOST_HEADERS: Final = 16
_LEAST_HIDDEN: Final = 8
"""Characters of a header's value that is looked for in answers: a shorter one is in every text."""
_HIDDEN: Final = "[redacted]"


class Secrets(Protocol):
    """Where the values behind secret references come from."""

    def resolve(self, reference: str) -> bytes: ...


async def made_payload(plugin: Plugged, event: Event) -> Payload:
    """The body by a plugin's mode.

    Raises:
        PluginError: there is none.
    """
    return await plugin.answer(_body, plugin_event(event, filter_attributes(event)))


async def made_signature(
    plugin: Plugged, message: Message, secrets: Sequence[bytes]
) -> tuple[tuple[str, str], ...]:
    """The headers by a plugin's scheme.

    Raises:
        PluginError: there are none.
    """
    try:
        return await plugin.answer(_headers, message, tuple(secrets))
    except PluginError as error:
        raise _without(error, secrets) from None


async def made_credentials(auth: PluggedAuth, request: Request, secrets: Secrets) -> Credentials:
    """The headers by a plugin's authentication of this request.

    Raises:
        PluginError: there are none, or one that the request has already.
        SecretError: a secret is not to be had.
    """
    known = {name: secrets.resolve(one.written()) for name, one in auth.part.secrets.items()}
    seen = OutgoingRequest(request.method, request.url, request.headers, request.body)
    try:
        found = await auth.plugin.answer(_headers, seen, known)
    except PluginError as error:
        raise _without(error, known.values()) from None
    taken = {name for name, _ in request.headers} & {name for name, _ in found}
    if taken:
        raise PluginError(
            f"the auth plugin {auth.name} sets the header {min(taken)}, which the request has "
            "already: take it out of `headers`, or let the plugin name it otherwise"
        )
    values = (value.encode("latin-1") for _, value in found if len(value) >= _LEAST_HIDDEN)
    return Credentials(found, (*known.values(), *values))


def _headers(found: object) -> tuple[tuple[str, str], ...]:
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise ValueError(  # noqa: TRY004 - what `Plugged` asks for
            f"{type(found).__name__} instead of pairs of a header's name and value"
        )
    pairs = []
    for pair in found:
        match pair:
            case (str() as name, str() as value):
                fault = plugin_header_fault(name, value)
                if fault is not None:
                    raise ValueError(fault)
                pairs.append((name.lower(), value))
            case _:
                raise ValueError("a header that is not a pair of texts")
        if len(pairs) > _MOST_HEADERS:
            raise ValueError(f"more than {_MOST_HEADERS} headers")
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("the same header twice")
    return tuple(pairs)


def _body(found: object) -> Payload:
    match found:
        case Body(str() as content_type, bytes() as body):
            if not is_content_type(content_type):
                raise ValueError("a body whose content type is none, such as application/json")
            return Payload(content_type, body)
        case _:
            raise ValueError(f"{type(found).__name__} instead of a Body of a text and bytes")


def _without(error: PluginError, secrets: Iterable[bytes]) -> PluginError:
    """The error without the secrets that the plugin was given, should it say one back."""
    text = str(error)
    for secret in secrets:
        text = text.replace(secret.decode("utf-8", "replace"), _HIDDEN) if secret else text
    return PluginError(text)
