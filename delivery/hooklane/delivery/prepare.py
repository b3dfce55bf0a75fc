"""Requests that cannot be made at once: a store is asked for a secret, or a plugin for its part."""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Protocol

from hooklane.delivery.asked import Asked
from hooklane.delivery.exchange import Request
from hooklane.delivery.plugged import made_payload, made_signature
from hooklane.delivery.request import AttemptFacts, SetupError, assembled, payload_of
from hooklane.delivery.signing import Message, signer
from hooklane.schemas.event import Event


class Stores(Protocol):
    """Secrets that have to be fetched."""

    def fetching(self, references: Iterable[str]) -> Sequence["Future[None]"]:
        """What has to end before they are to be had."""


class Secrets(Protocol):
    """Where the values behind secret references come from."""

    def resolve(self, reference: str) -> bytes: ...


async def prepared(
    asked: Asked, event: Event, facts: AttemptFacts, secrets: Secrets, stores: Stores | None
) -> Request:
    """The request, within the time that its document gives an exchange.

    Raises:
        SecretError: a secret is not to be had.
        SigningError: one that the scheme cannot use.
        SetupError: headers too large, or the time was up.
        RefusedError: the template fails for this event.
        PluginError: a plugin did not do its part.
    """
    try:
        async with asyncio.timeout(asked.destination.timeout_s):
            if stores is not None and asked.stored:
                await _fetched(asked.stored, stores)
            return await _made(asked, event, facts, secrets)
    except TimeoutError:
        limit = f"{asked.destination.timeout_s:g} s"
        raise SetupError(f"the request was not ready within {limit}") from None


async def _fetched(references: Sequence[str], stores: Stores) -> None:
    fetches = stores.fetching(references)
    if fetches:
        # Others may wait for the same ones: they go on whatever becomes of this attempt.
        await asyncio.wait([asyncio.shield(asyncio.wrap_future(one)) for one in fetches])


async def _made(asked: Asked, event: Event, facts: AttemptFacts, secrets: Secrets) -> Request:
    if asked.body is None:
        payload = payload_of(event, asked.destination)
    else:
        payload = await made_payload(asked.body, event)
    message = Message(facts.webhook_id, facts.timestamp, payload.body)
    values = tuple(map(secrets.resolve, asked.secrets))
    signature: tuple[tuple[str, str], ...] = ()
    if asked.signs is not None:
        signature = await made_signature(asked.signs, message, values)
    elif asked.scheme is not None:
        signature = signer(asked.scheme, values).headers(message)
    return assembled(event, facts, asked.destination, payload, signature)
