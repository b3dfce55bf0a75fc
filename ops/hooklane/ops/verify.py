"""`hooklane verify`: is a request genuine, and if not, why."""

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hooklane.ops.command import explain, settings_of, single_command
from hooklane.ops.log_selection import parse_moment
from hooklane.ops.output import OutputFormat, OutputOption, print_record
from hooklane.ops.verify_input import headers_from
from hooklane.ops.verify_secrets import VARIABLE, SecretSource, secrets_from
from hooklane.runtime.errors import UsageError
from hooklane.schemas.subscription_parts import SigningScheme
from hooklane.schemas.topics import Delay

if TYPE_CHECKING:
    from hooklane.delivery.signing.diagnose import Diagnosis

app = single_command()

_FIELDS = (
    "genuine, cause, said, todo, scheme, secret (which of those given, from 1), webhook_id, age_s"
)


@app.command(
    "verify",
    help=explain(
        "Say whether a webhook's signature is right, and if not, why.",
        more="Give the headers and the body as they came. The secret is a reference (env:NAME, "
        "file:NAME, enc:...), as in a subscription, is taken from --subscription, or stands in "
        f"{VARIABLE}; never type it. Causes: genuine, missing-header, malformed-header, "
        "unusable-secret, missing-prefix, secret-form (its text taken for its bytes, or the other "
        "way round), clock-skew, body-reserialised (the same JSON, written anew), body-changed, "
        "wrong-id, wrong-secret.\n\n"
        f"JSON fields: {_FIELDS}.",
        example="hooklane verify --headers headers.txt --body body.json "
        "--secret file:billing\n"
        "hooklane verify --headers headers.txt --subscription billing < body.json",
        exits={0: "genuine", 1: "not genuine, or failed", 2: "wrong usage or setting"},
    ),
)
def verify(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    headers: Annotated[
        Path | None,
        typer.Option("--headers", metavar="FILE", help="Headers, one a line, or a JSON object."),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="LINE", help="One; repeatable.")
    ] = None,
    body: Annotated[
        Path, typer.Option("--body", metavar="FILE", help="The body's bytes; - is stdin.")
    ] = Path("-"),
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="REFERENCE", help="env:, file: or enc:; repeatable."),
    ] = None,
    subscription: Annotated[
        str | None,
        typer.Option("--subscription", "-s", metavar="ID", help="Scheme and secrets of this one."),
    ] = None,
    scheme: Annotated[
        SigningScheme | None, typer.Option("--scheme", help="How it is signed; default: standard.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="When it arrived; default: now."),
    ] = None,
    tolerance: Annotated[
        str, typer.Option("--tolerance", metavar="DELAY", help="How old it may be.")
    ] = "5m",
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    told = headers_from("" if headers is None else _read(headers).decode("latin-1"), header or ())
    if not told:
        raise UsageError("No headers are given: --headers FILE, or --header 'name: value'.")
    source = SecretSource(secret or [], subscription, os.environ.get(VARIABLE))
    found_scheme, secrets = secrets_from(source, scheme, lambda: settings_of(context))
    now_s = time.time()
    if at is not None:
        now_s = parse_moment("--at", at, datetime.now(UTC)) / 1000
    # Cryptography is slow to import: `--help` goes without it.
    from hooklane.delivery.signing.diagnose import Diagnoser  # noqa: PLC0415

    diagnoser = Diagnoser(found_scheme, secrets, _seconds(tolerance))
    diagnosis = diagnoser.diagnose(told, _read(body), now_s)
    _show(diagnosis, found_scheme, output)
    if not diagnosis.genuine:
        raise typer.Exit(1)


def _show(diagnosis: "Diagnosis", scheme: str, output: OutputFormat) -> None:
    row = {
        "genuine": diagnosis.genuine,
        "cause": diagnosis.verdict.value,
        "said": diagnosis.said,
        "todo": diagnosis.todo or None,
        "scheme": scheme,
        "secret": diagnosis.secret,
        "webhook_id": diagnosis.webhook_id,
        "age_s": None if diagnosis.age_s is None else round(diagnosis.age_s, 1),
    }
    print_record(row, output)


def _seconds(tolerance: str) -> float:
    try:
        return Delay.parse(tolerance).seconds
    except ValueError as error:
        raise UsageError(f"--tolerance: {error}.") from error


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}).") from error
