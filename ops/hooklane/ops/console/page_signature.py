"""Why a receiver does not take a signature: headers, body and secret are pasted, and judged here.

The secret is in memory for as long as the request lasts, and nowhere else: not in the page that
comes back, not in a log. What judges is what `hooklane verify` asks.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooklane.delivery.signing.claims import Headers
from hooklane.delivery.signing.diagnose import Diagnoser, Diagnosis
from hooklane.ops.console.access import Visitor
from hooklane.ops.console.asked import one_of, text
from hooklane.ops.console.office import Fields, Office
from hooklane.ops.log_selection import parse_moment
from hooklane.ops.verify_input import headers_from
from hooklane.runtime.errors import UsageError
from hooklane.schemas.subscription_parts import SigningScheme

_MOST_SECRETS: Final = 10


def routes(office: Office) -> list[Route]:
    def shown(request: Request, given: Fields, found: Diagnosis | None, said: str) -> Response:
        return office.renderer.page(
            request,
            "signature.html",
            400 if said else 200,
            schemes=tuple(SigningScheme),
            # Never the secrets: whoever comes to the screen later would read them.
            headers=given.get("headers", ""),
            body=given.get("body", ""),
            scheme=given.get("scheme", SigningScheme.STANDARD.value),
            at=given.get("at", ""),
            found=found,
            said=said,
        )

    async def form(request: Request) -> Response:
        return shown(request, {}, None, "")

    async def judge(request: Request, fields: Fields, _visitor: Visitor) -> Response:
        try:
            found = judged(fields, time.time())
        except UsageError as error:
            return shown(request, fields, None, str(error))
        return shown(request, fields, found, "")

    return [Route("/signature", form, methods=["GET"]), office.asked("/signature", judge)]


def judged(fields: Fields, now_s: float) -> Diagnosis:
    """What is the matter with what was pasted. Pure.

    Raises:
        UsageError: it cannot be judged.
    """
    scheme = one_of(SigningScheme, fields, "scheme") or SigningScheme.STANDARD
    headers = headers_from(fields.get("headers", ""))
    if not headers:
        raise UsageError("Paste the headers as they came, one a line.")
    secrets = fields.get("secrets", "").split()
    if not secrets:
        raise UsageError("Paste the secret that the receiver has.")
    if len(secrets) > _MOST_SECRETS:
        raise UsageError(f"At most {_MOST_SECRETS} secrets, one a line.")
    at = text(fields, "at")
    if at is not None:
        now_s = parse_moment("Arrived at", at, datetime.now(UTC)) / 1000
    diagnoser = Diagnoser(scheme.value, [one.encode() for one in secrets])
    return best_of(diagnoser, headers, list(as_pasted(fields.get("body", ""))), now_s)


def as_pasted(body: str) -> Iterator[bytes]:
    """The bytes that may have been pasted: browsers send every line end of a form as CRLF."""
    data = body.encode()
    lines = data.replace(b"\r\n", b"\n")
    yield lines
    if lines != data:
        yield data


def best_of(
    diagnoser: Diagnoser, headers: Headers, bodies: Sequence[bytes], now_s: float
) -> Diagnosis:
    """The first that is genuine, else what is said of the first."""
    found = [diagnoser.diagnose(headers, body, now_s) for body in bodies]
    return next((one for one in found if one.genuine), found[0])
