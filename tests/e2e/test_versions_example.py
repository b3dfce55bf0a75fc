"""examples/versions as docs/versions.md has it run."""

import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree

from tests.kafka.broker import free_ports
from tests.support.pages import ROOT, page, put_into


def test_each_receiver_gets_its_version(tmp_path: Path) -> None:
    """One payment in two versions: each subscription gets its own, verified, and the catalog
    shows what replaces the old one."""
    broker, receiver = map(str, free_ports(2))
    folder = copytree(ROOT / "examples" / "versions", tmp_path / "versions")
    for path in [folder / "run.sh", *(folder / "subscriptions").iterdir()]:
        path.write_text(put_into(path.read_text(), {"9092": broker, "8090": receiver}))
    environ = {k: v for k, v in os.environ.items() if not k.startswith("HOOKLANE_")}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    done = subprocess.run(
        ["./run.sh"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    got = sorted(line for line in done.stdout.splitlines() if " got " in line)
    [promised] = re.findall(r"```text\n(.*?)```", page("docs/versions.md"), re.DOTALL)
    assert sorted(promised.splitlines()) == got
    old = (folder / "catalog" / "types" / "invoice.paid.v1.html").read_text()
    assert 'Use <a href="invoice.paid.v2.html">invoice.paid.v2</a> instead.' in old
    assert "Versions side by side" in old
