"""`hooklane secrets`: make signing secrets and keys, encrypt secrets."""

import base64
import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hooklane.ops.command import command_group, explain, settings_of
from hooklane.ops.output import (
    Column,
    OutputFormat,
    OutputOption,
    Row,
    notice,
    print_record,
    print_rows,
)
from hooklane.runtime.errors import UsageError

if TYPE_CHECKING:
    from hooklane.runtime.secrets_enc import EncryptionKeys
    from hooklane.runtime.settings import Settings

app = command_group("Make signing secrets, encrypt secrets.", example="hooklane secrets generate")

ROTATED = (Column("place"), Column("secrets", align="right"), Column("done"))


class Scheme(StrEnum):
    """Standard Webhooks' two kinds of signature."""

    STANDARD = "standard"
    ED25519 = "ed25519"


SchemeOption = Annotated[
    Scheme, typer.Option("--scheme", help="HMAC-SHA256 (shared secret), or an ed25519 key pair.")
]


@app.command(
    "generate",
    help=explain(
        "Make a signing secret of Standard Webhooks.",
        more="With --scheme ed25519 the receiver gets the public key only.",
        example="hooklane secrets generate\n"
        "hooklane secrets generate | hooklane secrets encrypt\n"
        "hooklane secrets generate --scheme ed25519 --output json",
    ),
)
def generate(
    scheme: SchemeOption = Scheme.STANDARD, output: OutputOption = OutputFormat.TABLE
) -> None:
    secret, public = _symmetric() if scheme is Scheme.STANDARD else _asymmetric()
    if output is OutputFormat.JSON:
        print_record({"secret": secret, "public_key": public}, output)
        return
    # The secret alone, so that it can be piped on.
    typer.echo(secret)
    if public is not None:
        notice(f"Public key for the receiver: {public}")


@app.command(
    "generate-key",
    help=explain(
        "Make a key for `secrets encrypt`.",
        more="Give it to the services in HOOKLANE_SECRETS__ENCRYPTION_KEYS (a JSON list) or in the "
        "file that HOOKLANE_SECRETS__ENCRYPTION_KEYS_FILE names (one a line). To rotate: put the "
        "new key first, run `hooklane secrets rotate`, take the old key out.",
        example="hooklane secrets generate-key >> encryption-keys",
    ),
)
def generate_key() -> None:
    from hooklane.runtime.secrets_enc import KEY_BYTES  # noqa: PLC0415 - slow to import

    typer.echo(_base64(os.urandom(KEY_BYTES)))


@app.command(
    "encrypt",
    help=explain(
        "Encrypt a secret, to put it into a subscription as enc:v1:...",
        more="The secret is read from standard input, or asked for; never given as an argument, "
        "where others could see it.",
        example="hooklane secrets encrypt < secret.txt",
    ),
)
def encrypt(context: typer.Context) -> None:
    from hooklane.runtime.secrets import encryption_keys  # noqa: PLC0415 - slow to import
    from hooklane.runtime.secrets_enc import require_key  # noqa: PLC0415

    keys = require_key(encryption_keys(settings_of(context).secrets))
    typer.echo(keys.encrypt(_given_secret()))


@app.command(
    "rotate",
    help=explain(
        "Encrypt secrets again that are under an older key.",
        more="In the files that are named, else in the documents in force. The first key encrypts, "
        "each that is still needed must be there too; afterwards the older ones may go. Documents "
        "that a receiver's 410 disabled are left, since a new document would enable them.",
        example="hooklane secrets rotate\nhooklane secrets rotate -f subscriptions/",
        exits={0: "all under the first key", 1: "failed, or some left", 2: "wrong usage"},
    ),
)
def rotate(
    context: typer.Context,
    filename: Annotated[
        list[str] | None,
        typer.Option("--filename", "-f", metavar="PATH", help="A file, or a folder of them."),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    from hooklane.ops.secrets_rotate import renewed_files, write_files  # noqa: PLC0415 - as above
    from hooklane.runtime.secrets import encryption_keys  # noqa: PLC0415
    from hooklane.runtime.secrets_enc import require_key  # noqa: PLC0415

    settings = settings_of(context)
    keys = require_key(encryption_keys(settings.secrets))
    if filename:
        found = renewed_files(filename, keys)
        write_files(found)
        rows: list[Row] = [_rotated(one.place, one.secrets, "rotated") for one in found]
    else:
        rows = _rotate_topic(settings, keys)
    if rows or output is OutputFormat.JSON:
        print_rows(rows, ROTATED, output)
    else:
        notice("Nothing to do: every secret is under the first key.")
    if any(row["done"] != "rotated" for row in rows):
        raise typer.Exit(1)


def _rotate_topic(settings: "Settings", keys: "EncryptionKeys") -> list[Row]:
    from hooklane.ops.secrets_rotate import renewed_entries  # noqa: PLC0415 - as above
    from hooklane.ops.subscriptions_topic import ConfigTopic  # noqa: PLC0415

    topic = ConfigTopic(settings)
    found = renewed_entries(topic.read(), keys)
    records = [
        (entry.id.encode(), one.text.encode()) for entry, one in found if entry.disabled is None
    ]
    if records:
        topic.write(records)
    return [
        _rotated(
            one.place, one.secrets, "rotated" if entry.disabled is None else "left: disabled by 410"
        )
        for entry, one in found
    ]


def _rotated(place: str, secrets: int, done: str) -> Row:
    return {"place": place, "secrets": secrets, "done": done}


def _given_secret() -> bytes:
    if sys.stdin.isatty():
        text: str = typer.prompt("Secret", hide_input=True, err=True)
        given = text.encode()
    else:
        given = sys.stdin.buffer.read().removesuffix(b"\n").removesuffix(b"\r")
    if not given:
        raise UsageError("There is no secret on standard input: write it there.")
    return given


def _symmetric() -> tuple[str, None]:
    return f"whsec_{_base64(os.urandom(32))}", None


def _asymmetric() -> tuple[str, str]:
    """The private key is the seed and the public key after it, as Standard Webhooks shows it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - slow to import
        Ed25519PrivateKey,
    )

    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    return f"whsk_{_base64(key.private_bytes_raw() + public)}", f"whpk_{_base64(public)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
