"""`hooklane secrets`, run as users run it."""

import base64
import json
import os
import pty
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hooklane.runtime.secrets import Secrets
from hooklane.runtime.settings import load_settings

HOOKLANE = [sys.executable, "-m", "hooklane.ops.main", "secrets"]


def call(*arguments: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*HOOKLANE, *arguments],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, **environ},
    )


def keys_of(*keys: str) -> dict[str, str]:
    return {"HOOKLANE_SECRETS__ENCRYPTION_KEYS": json.dumps(keys)}


def test_a_shared_secret() -> None:
    """`generate` prints whsec_ and 32 bytes in base64, and nothing else; another one each time."""
    found = [call("generate").stdout.decode().removesuffix("\n") for _ in range(2)]
    assert found[0] != found[1]
    assert found[0].startswith("whsec_")
    assert len(base64.b64decode(found[0].removeprefix("whsec_"), validate=True)) == 32


def test_a_key_pair() -> None:
    """`--scheme ed25519` gives a private key of which the public key is the right one."""
    done = call("generate", "--scheme", "ed25519", "--output", "json")
    found = json.loads(done.stdout)
    private = base64.b64decode(found["secret"].removeprefix("whsk_"))
    public = base64.b64decode(found["public_key"].removeprefix("whpk_"))
    key = Ed25519PrivateKey.from_private_bytes(private[:32])
    assert private[32:] == public == key.public_key().public_bytes_raw()


def test_the_public_key_does_not_get_into_a_pipe() -> None:
    """stdout is the secret alone; what the receiver needs is said on stderr."""
    done = call("generate", "--scheme", "ed25519")
    assert done.stdout.startswith(b"whsk_")
    assert len(done.stdout.split()) == 1
    assert b"whpk_" in done.stderr


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_what_encrypt_prints_the_services_resolve(ending: bytes) -> None:
    """From generate-key by encrypt to what a delivery signs with: the same bytes."""
    environ = keys_of(call("generate-key").stdout.decode().strip())
    done = call("encrypt", stdin=b"whsec_hush" + ending, **environ)
    assert done.stderr == b""
    reference = done.stdout.decode().strip()
    assert reference.startswith("enc:v1:")
    secrets = Secrets(load_settings(None, environ).secrets)
    assert secrets.resolve(reference) == b"whsec_hush"


def test_encrypt_asks_at_a_terminal_without_an_echo() -> None:
    """At a terminal the secret is asked for, and does not appear on it."""
    environ = os.environ | keys_of(base64.b64encode(bytes(32)).decode())
    ours, theirs = pty.openpty()
    command = [*HOOKLANE, "encrypt"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=environ, process_group=0
    ) as process:
        os.close(theirs)
        shown = b""
        while b"Secret: " not in shown:
            shown += os.read(ours, 1000)
        os.write(ours, b"whsec_hush\n")
        assert process.stdout is not None
        assert process.stdout.read().startswith(b"enc:v1:")
    os.close(ours)
    assert b"whsec_hush" not in shown


@pytest.mark.parametrize(
    ("stdin", "environ", "code", "said"),
    [
        (b"x", {}, 1, b"make one by `hooklane secrets generate-key`"),
        (b"", keys_of(base64.b64encode(bytes(32)).decode()), 2, b"There is no secret"),
        (b"x", keys_of("hush-hush"), 2, b"HOOKLANE_SECRETS__ENCRYPTION_KEYS[0] is wrong"),
    ],
)
def test_what_is_missing_is_said(
    stdin: bytes, environ: dict[str, str], code: int, said: bytes
) -> None:
    """No key, no secret, a wrong key: one sentence each, without the key."""
    done = call("encrypt", stdin=stdin, **environ)
    assert (done.returncode, done.stdout) == (code, b"")
    assert said in done.stderr
    assert b"hush" not in done.stderr


def test_a_secret_is_never_an_argument() -> None:
    """What is given as an argument could be seen by everybody on the machine: refused."""
    assert call("encrypt", "whsec_hush").returncode == 2
