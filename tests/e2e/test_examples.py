"""Each of examples/ that has a `run.sh`, run as its README says. Changed are only ports."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.kafka.broker import free_ports
from tests.support.by_hand import ENVIRON
from tests.support.pages import ROOT, put_into

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
