"""From a delivery to the request of one attempt (section 5 of the design)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from hooklane.delivery import payload as payloads
from hooklane.delivery.exchange import Request
from hooklane.delivery.headers import attribute_lines, custom_header_fault, percent_encoded
from hooklane.delivery.payload import Payload, Templated
from hooklane.delivery.signing import Message, Signer
from hooklane.delivery.way import Way
from hooklane.schemas.event import Event
from hooklane.schemas.template import TemplateError
from hooklane.schemas.version import __version__

_USER_AGENT: Final = f"Hooklane/{__version__}"
Headers = Iterable[tuple[str, str]]
_HEADER_CHARACTERS: Final = 32 * 1024
"""Above it most servers answer 431; said before it is tried, with what to do about it."""


class RefusedError(Exception):
    """This event can never be sent as the subscription asks. Its text says why."""


class SetupError(Exception):
    """The request cannot be made as the subscription asks. Its text names what to change."""


@dataclass(frozen=True, slots=True)
class Destination:
    """What the subscription says about the request. `lines`: as `custom_lines` made them."""

    url: str
    mode: str
    lines: tuple[str, ...]
    timeout_s: float
    connect_timeout_s: float
    way: Way | None = None
    templated: Templated | None = None


class AttemptFacts(NamedTuple):
    """What this attempt adds. `timestamp`: whole seconds since the epoch; `lane`: empty where the
    delivery is a lane by itself, and has no order."""

    webhook_id: str
    sequence: int
    attempt: int
    run: str
    timestamp: int
    traceparent: str | None = None
    tracestate: str | None = None
    lane: str = ""


def custom_lines(found: Mapping[str, str]) -> tuple[str, ...]:
    """The header lines that a subscription adds, with those that are the same for all its requests.

    Raises:
        SetupError: one of them may not be set.
    """
    # A receiver's answer is read up to a cap: nothing must unfold behind it.
    same = {"user-agent": _USER_AGENT, "accept-encoding": "identity"}
    for name, value in found.items():
        fault = custom_header_fault(name, value)
        if fault is not None:
            raise SetupError(fault)
        same[name.lower()] = value
    return tuple(map(": ".join, same.items()))


def build(
    event: Event, facts: AttemptFacts, destination: Destination, signer: Signer | None
) -> Request:
    """The request, signed over exactly the body that is sent.

    Raises:
        SetupError: headers too large.
        RefusedError: the template fails for this event.
    """
    payload = payload_of(event, destination)
    signature: Headers = ()
    if signer is not None:
        signature = signer.headers(Message(facts.webhook_id, facts.timestamp, payload.body))
    return assembled(event, facts, destination, payload, signature)


def assembled(
    event: Event,
    facts: AttemptFacts,
    destination: Destination,
    payload: Payload,
    signature: Headers,
) -> Request:
    """The request out of its parts.

    Raises:
        SetupError: headers too large.
    """
    lines = [f"webhook-id: {facts.webhook_id}", f"webhook-timestamp: {facts.timestamp}"]
    lines += map(": ".join, signature)
    if destination.mode == "binary":
        lines += attribute_lines(event)
    lines.append(f"content-type: {payload.content_type}")
    _add_own(lines, facts)
    lines += destination.lines
    if sum(map(len, lines)) > _HEADER_CHARACTERS:
        raise SetupError(
            "the event's attributes make more than 32 KiB of headers; "
            "set `payload.mode` to structured, which puts them into the body"
        )
    return Request(
        method="POST",
        url=destination.url,
        lines=tuple(lines),
        body=payload.body,
        timeout_s=destination.timeout_s,
        connect_timeout_s=destination.connect_timeout_s,
        way=destination.way,
    )


def payload_of(event: Event, destination: Destination) -> Payload:
    """The body by one of our own modes.

    Raises:
        RefusedError: the template fails for this event.
    """
    if destination.templated is not None:
        try:
            return payloads.templated(event, destination.templated)
        except TemplateError as error:
            raise RefusedError(f"the template fails for this event: {error}") from error
    if destination.mode == "structured":
        return payloads.structured(event)
    return payloads.binary(event)


def _add_own(lines: list[str], facts: AttemptFacts) -> None:
    if facts.lane:
        lines.append(f"hooklane-lane: {facts.lane}")
    lines.append(f"hooklane-sequence: {facts.sequence}")
    lines.append(f"hooklane-attempt: {facts.attempt}")
    if facts.run:
        lines.append(f"hooklane-replay: {percent_encoded(facts.run)}")
    if facts.traceparent is not None:
        lines.append(f"traceparent: {facts.traceparent}")
        if facts.tracestate is not None:
            lines.append(f"tracestate: {facts.tracestate}")
