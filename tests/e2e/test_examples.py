"""Each of examples/ that has a `run.sh`, run as its README says. Changed are only ports."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.kafka.broker import free_ports
from tests.support.by_hand import ENVIRON
from tests.support.pages import ROOT, blocks, page, put_into
from tests.support.shell import Shell

EXAMPLES = sorted(path.parent.name for path in ROOT.glob("examples/*/run.sh"))
SAID = {
    "github-push": "verified: 2 commits on refs/heads/main of octo/hello\n",
    "slack-notification": 'verified: Order 4711 was paid by Zoë "Zo" Ångström: 12.50 EUR\n',
    "stripe-payment": "verified: evt_1 payment_intent.succeeded, 1250 eur\n",
    "versions": "verified: /new invoice.paid.v2 i-4712: 120.50 EUR by card\n",
}


def copied(example: str, folder: Path, places: dict[str, str]) -> Path:
    """The example and what it sources, on a port of this test's."""
    [port] = free_ports(1)
    ports = dict.fromkeys(("8091", "8092", "8093", "8094"), str(port))
    for file in (ROOT / "examples" / "steps.sh", *(ROOT / "examples" / example).rglob("*")):
        if file.is_file():
            to = folder / file.relative_to(ROOT / "examples")
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text(put_into(file.read_text(), ports | places))
            to.chmod(file.stat().st_mode)
    return folder / example


@contextmanager
def begun(folder: Path) -> "Iterator[subprocess.Popen[str]]":
    """Its script, which ends what it started also when it is ended."""
    process = subprocess.Popen(
        ["./run.sh"],
        cwd=folder,
        env={**ENVIRON, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()


def test_all_are_run() -> None:
    """An example that comes must come here too."""
    assert list(SAID) == EXAMPLES


def test_each_ends_well_only_when_the_event_has_arrived_verified(tmp_path: Path) -> None:
    """Exit 0, and the receiver has said what the README promises; with another secret at the
    receiver the script says so, and does not end with 0."""
    places = {'os.environ["HOOKLANE_SECRET_GITHUB"]': '"another secret"'}
    folders = {example: copied(example, tmp_path / "good", {}) for example in SAID}
    with ExitStack() as stack:
        # Side by side: most of their time is waiting.
        wrong = stack.enter_context(begun(copied("github-push", tmp_path / "wrong", places)))
        good = {example: stack.enter_context(begun(folders[example])) for example in SAID}
        for example, process in good.items():
            said, _ = process.communicate(timeout=90)
            assert process.returncode == 0, said
            assert said.endswith(SAID[example])
            readme = (ROOT / "examples" / example / "README.md").read_text()
            assert f"**You see** `{SAID[example].strip()}`" in readme
        said, _ = wrong.communicate(timeout=90)
    assert wrong.returncode == 1
    assert "Not seen: verified" in said
    assert "not genuine" in said


@pytest.mark.skipif(shutil.which("node") is None, reason="There is no node on this machine.")
def test_receiving_is_tried_as_its_page_says(tmp_path: Path) -> None:
    """docs/receiving, "Try it": the receiver works on what the second terminal publishes."""
    written = page("docs/receiving/README.md")
    receiver, broker = map(str, free_ports(2))
    places = {
        "8081": receiver,
        "hooklane dev subscription.yaml": (
            f"hooklane dev subscription.yaml --port {broker} --receiver-port 0"
        ),
    }
    [document] = blocks(written, "Try it", "yaml")
    first, second = blocks(written, "Try it", "sh")
    (tmp_path / "subscription.yaml").write_text(put_into(document, places))
    shutil.copy(ROOT / "docs" / "receiving" / "node" / "receiver.mjs", tmp_path)
    environ = {
        **ENVIRON,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOOKLANE_KAFKA__BOOTSTRAP_SERVERS": f"localhost:{broker}",
    }
    with Shell(tmp_path, environ) as one, Shell(tmp_path, environ) as other:
        one.begin(put_into(first, places))
        one.wait_for_row("ready, for example for")
        other.run(second)
        one.wait_for_row('^working on order.paid {"amount": 120}$')
        one.wait_for_row("204 No Content")
