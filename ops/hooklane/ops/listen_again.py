"""Kept requests sent once more to a server at hand, signed anew where the secret is known."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from hooklane.delivery.signing import Message, SigningError, signer
from hooklane.ops.listen_desk import is_accepted
from hooklane.ops.listen_forward import Headers, forwarding_to
from hooklane.ops.listen_keep import KeptRequest
from hooklane.ops.listen_verify import Scheme
from hooklane.ops.output import Row
from hooklane.runtime.errors import UsageError


async def sent_again(
    kept: Sequence[KeptRequest], url: str, scheme: Scheme, secrets: Sequence[str]
) -> list[Row]:
    """One after the other, as they came. `webhook-id` stays, so that a receiver that remembers ids
    takes them for what they are.

    Raises:
        UsageError: the URL or a secret cannot be used.
    """
    rows: list[Row] = []
    async with forwarding_to(url) as forward:
        for one in kept:
            headers = signed_anew(one, scheme, secrets, int(time.time()))
            answer = await forward.send(one.target, headers, one.body)
            rows.append(
                {
                    "time": datetime.now(UTC),
                    "status": answer.status,
                    "webhook_id": one.headers.get("webhook-id"),
                    "type": one.headers.get("ce-type"),
                    "accepted": is_accepted(answer.status),
                    "cause": answer.fault,
                }
            )
    return rows


def signed_anew(
    one: KeptRequest, scheme: Scheme, secrets: Sequence[str], timestamp: int
) -> Headers:
    """Its headers. A signature with a time is too old after five minutes: made anew, if there is a
    secret. GitHub's has none, and stays.

    Raises:
        UsageError: a secret cannot be used.
    """
    headers = dict(one.headers)
    if scheme is Scheme.STANDARD and secrets and "webhook-id" in headers:
        message = Message(headers["webhook-id"], timestamp, one.body)
        try:
            signature = signer(scheme, tuple(map(str.encode, secrets))).headers(message)
        except SigningError as error:
            raise UsageError(f"--secret cannot be used: {error}.") from error
        headers |= {"webhook-timestamp": str(timestamp), **dict(signature)}
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
