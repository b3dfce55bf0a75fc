"""What a form sends: read up to a bound, and taken only with the token of that very form."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from hooklane.ops.console.access import Visitor
from hooklane.ops.console.sessions import FormTokens
from hooklane.runtime.errors import HooklaneError

TOKEN_FIELD: Final = "form_token"  # noqa: S105 - a field's name
MOST_BYTES: Final = 2 * 2**20
_MOST_FIELDS: Final = 50
_TYPE: Final = "application/x-www-form-urlencoded"


class RefusedFormError(HooklaneError):
    """It is not taken."""


class ReadOnlyError(RefusedFormError):
    """Nothing can be done with this console."""


async def read_fields(request: Request) -> Mapping[str, str]:
    """The fields; of two of one name the last. Empty ones are left out.

    Raises:
        RefusedFormError: too large, or no form of ours.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise RefusedFormError("This is not what a form of the console sends.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise RefusedFormError(
                f"More than {MOST_BYTES // 2**20} MiB were sent: the command line takes more."
            )
    try:
        pairs = parse_qsl(body.decode("ascii"), max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise RefusedFormError("This is not what a form of the console sends.") from error
    return dict(pairs)


async def read_form(request: Request, visitor: Visitor, tokens: FormTokens) -> Mapping[str, str]:
    """The fields of a form that a page of this session had, for this path.

    Raises:
        RefusedFormError: see `read_fields`; or its token does not fit.
    """
    fields = dict(await read_fields(request))
    if not tokens.fits(visitor.session, request.url.path, fields.pop(TOKEN_FIELD, "")):
        raise RefusedFormError(
            "This form is too old, or from another session: go back, load the page again, and send "
            "it once more."
        )
    return fields
