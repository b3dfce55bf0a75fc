"""The example package, installed and at work in both services; and plugins that fail beside it."""

import hmac
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hooklane.schemas.records import DeadLetter, DeadLetterReason
from tests.support.kv_vault import KvVault
from tests.support.processes import ServiceProcess, hooklane, hooklane_ok
from tests.support.site import Site
from tests.support.webhook_sink import OK, Answer, Hit, WebhookSink

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin-acme"
TOKEN = "hvs.t0ken-of-november"
SIGNING = "s1gning-k3y-of-acme"
KEY = "auth-k3y-of-acme"
EVENTS = 12

FAILING = """
import threading
from hooklane.schemas.plugin import PluginFailure

class Sulks:
    api = 1
    def __init__(self, options):
        pass
    def sign(self, message, secrets):
        raise RuntimeError(f"I will not use {secrets[0].decode()}")
    def transform(self, event):
        threading.Event().wait()
    def matches(self, event):
        raise PluginFailure("no mood today")
"""
ENTRY_POINTS = """
[hooklane.signing]
sulks = failing_pack:Sulks
[hooklane.payload]
hangs = failing_pack:Sulks
[hooklane.filters]
moody = failing_pack:Sulks
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example, installed as anybody would, and a pack of plugins that fail."""
    source = tmp_path_factory.mktemp("source") / "plugin-acme"
    shutil.copytree(EXAMPLE, source)
    target = tmp_path_factory.mktemp("packages")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    alone = ("--no-index", "--no-deps", "--no-build-isolation", "--no-compile")
    done = subprocess.run(
        [*pip, *alone, "--target", str(target), str(source)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    (target / "failing_pack.py").write_text(FAILING)
    metadata = target / "failing_pack-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: failing-pack\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    return target


def once_refused(hit: Hit) -> Answer:
    """The first attempt fails, so that the retrier makes the second one."""
    first = hit.headers["hooklane-attempt"] == "1"
    # It says back what it was sent, which must not stay.
    return Answer(500, body=hit.headers.get("authorization", "").encode()) if first else OK


def verified(hit: Hit, url: str) -> bool:
    """Whether the receiver would take it: signature, proof and body are those of the plugins."""
    at = hit.headers["webhook-timestamp"]
    signed = at.encode() + b"." + hit.body
    proof = hmac.digest(KEY.encode(), f"POST {url} {at}".encode(), "sha256").hex()
    return (
        hit.headers["x-acme-signature"] == hmac.digest(SIGNING.encode(), signed, "sha512").hex()
        and hit.headers["authorization"] == f"Acme billing:{proof}"
        and hit.headers["content-type"] == "application/x-www-form-urlencoded"
    )


def test_the_example_delivers_and_failing_ones_disturb_nobody(
    packages: Path, sink: WebhookSink, fast: Site, tmp_path: Path
) -> None:
    """One of each kind, in the fan-out and in the retrier; a scheme that raises, a body that hangs
    and a filter that has no answer end in dead letters that name them, while a neighbour of the
    same receiver gets everything at once; no secret is in a log or on a topic."""
    sink.answer = lambda hit: once_refused(hit) if hit.path == "/acme" else OK
    document = yaml.safe_load((EXAMPLE / "subscription.yaml").read_text())
    failing: dict[str, dict[str, object]] = {
        "sulks": {"signing": {"scheme": "sulks", "secrets": ["vault:hooks/acme#signing"]}},
        "hangs": {"payload": {"mode": "hangs"}, "delivery": {"timeout": "200ms"}},
        "moody": {"match": {"filters": [{"moody": {}}]}},
    }
    whole = {**document, "id": "acme", "url": sink.url("acme")}
    fast.configure(b"acme", json.dumps(whole).encode())
    fast.subscribe("neighbour", sink.url("neighbour"))
    for name, fields in failing.items():
        fast.subscribe(name, sink.url(name), retry={"schedule": ["1s"]}, **fields)
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    with KvVault(TOKEN, {"hooks/acme": {"signing": SIGNING, "key": KEY}}) as vault:
        stores = {"vault": {"address": vault.address, "token_file": str(token)}}
        environ = {
            **fast.environment(
                SECRETS__STORES=json.dumps(stores), RETRIER__SPOOL_DIR=str(tmp_path / "spool")
            ),
            "PYTHONPATH": str(packages),
        }
        with (
            ServiceProcess("fanout", environ) as fanout,
            ServiceProcess("retrier", environ) as late,
        ):
            fanout.wait_ready()
            late.wait_ready()
            fast.publish_numbers([f"k{number}" for number in range(EVENTS)])
            sink.wait_for(lambda: len(sink.of("neighbour")) == EVENTS)
            sink.wait_for(lambda: len(sink.of("acme")) == 2 * EVENTS)
            late.wait_for(lambda: len(fast.dead_letters()) == len(failing) * EVENTS)
            assert fanout.terminate() == 0
            assert late.terminate() == 0
            logs = fanout.log() + late.log()
    assert all(verified(hit, sink.url("acme")) for hit in sink.of("acme"))
    assert min(hit.body for hit in sink.of("acme")) == f"type={fast.events}&n=0".encode()
    assert len(vault.asked) <= 4  # two references, once in each service
    assert not [hit for name in failing for hit in sink.of(name)]
    said = {
        "sulks": "the signing plugin sulks of failing-pack 0.1 failed: RuntimeError, see the log",
        "hangs": None,
        "moody": "the filters plugin moody of failing-pack 0.1 failed: no mood today",
    }
    letters = fast.dead_letters()
    for name, detail in said.items():
        mine = [one for one in letters if one.subscription == name]
        assert len(mine) == EVENTS
        assert all(_ended_as(one, name, detail) for one in mine), mine[0]
    attempts = fast.attempts()
    neighbours = [one for one in attempts if one.subscription == "neighbour"]
    assert [one.attempt for one in neighbours] == [1] * EVENTS
    told = repr(attempts) + repr(letters) + logs
    assert "plugin.failed" in logs
    for secret in (TOKEN, SIGNING, KEY):
        assert secret not in told
    assert not any(hit.headers["authorization"] in told for hit in sink.of("acme"))


def _ended_as(letter: DeadLetter, name: str, detail: str | None) -> bool:
    refused, exhausted = (DeadLetterReason.REFUSED, 0), (DeadLetterReason.EXHAUSTED, 2)
    given = refused if name == "moody" else exhausted
    return (letter.reason, letter.attempts) == given and detail in (None, letter.detail)


def test_the_command_line_judges_with_the_plugins_that_it_has(packages: Path, fast: Site) -> None:
    """`plugins` lists them; `validate` takes the example, says what is wrong in a plugin's options,
    and without the package says which word it does not know."""
    bare = fast.environment()
    environ = {**bare, "PYTHONPATH": str(packages)}
    rows = json.loads(hooklane_ok(environ, "plugins", "--output", "json"))
    assert [
        (one["group"], one["name"]) for one in rows if one["distribution"] == "hooklane-acme"
    ] == [
        ("signing", "acme"),
        ("auth", "acme"),
        ("filters", "sample"),
        ("payload", "flat"),
        ("secrets", "vault"),
    ]
    assert {one["state"] for one in rows} == {"ok"}
    example = str(EXAMPLE / "subscription.yaml")
    assert hooklane_ok(environ, "subscriptions", "validate", "-f", example) == "acme-orders valid\n"
    wrong = (EXAMPLE / "subscription.yaml").read_text().replace("percent: 100", "percent: many")
    done = hooklane(environ, "subscriptions", "validate", "-f", "-", stdin=wrong)
    assert done.returncode != 0
    assert (
        "match.filters[0].sample: the filters plugin sample of hooklane-acme 1.0 does not take"
        " these options: percent must be a whole number from 0 to 100"
    ) in done.stdout + done.stderr
    done = hooklane(bare, "subscriptions", "validate", "-f", example)
    assert done.returncode != 0
    assert "payload.mode: must be binary" in done.stdout + done.stderr


def test_a_service_does_not_start_with_a_word_that_means_two_things(
    fast: Site, tmp_path: Path
) -> None:
    """Exit 2, and one sentence that names the distribution."""
    metadata = tmp_path / "bold_pack-2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bold-pack\nVersion: 2.0\n")
    (metadata / "entry_points.txt").write_text("[hooklane.signing]\nstandard = bold:Bold\n")
    done = hooklane({**fast.environment(), "PYTHONPATH": str(tmp_path)}, "fanout")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "Error: The signing plugin standard of bold-pack has the name of what is built in: remove "
        "bold-pack, or rename it."
    )
