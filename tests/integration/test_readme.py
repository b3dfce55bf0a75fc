"""The README's commands and programs, run as they are written.

Changed are only Kafka's address and the event topic's name, since the broker is shared by all
tests. `make demo` is what tests/e2e/test_demo.py runs, `hooklane dev` tests/e2e/test_dev.py; the
way to a first event is in docs/quickstart.md, and test_quickstart.py goes it.
"""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from tests.kafka.broker import Kafka
from tests.kafka.records import create_topic, read_topic
from tests.support.pages import ROOT, blocks, every_block, page, put_into
from tests.support.processes import environment
from tests.support.shell import Shell
from tests.support.site import SECRET, Site
from tests.support.webhook_sink import WebhookSink

README = page("README.md")


def test_every_command_is_run_by_a_test() -> None:
    """No block of commands or of a program is outside the sections that a test goes through."""
    known = {
        "See it": ("sh", 1),
        "Subscribe": ("sh", 1),
        "Run it for real": ("sh", 1),
        "Publish from a service": ("python", 2),
        "Verify in a receiver": ("python", 1),
    }
    for heading, (language, count) in known.items():
        assert len(blocks(README, heading, language)) == count, heading
    assert len(every_block(README, "sh")) == 3
    assert len(every_block(README, "python")) == 3
    demo, install = every_block(README, "console")
    assert demo == "$ make demo\n"
    assert re.fullmatch(r"\$ pip install '.\[services\]' .*\n\$ pip install \. .*\n", install)


def test_make_demo_runs_the_demonstration() -> None:
    """`make demo` ends in `hooklane demo`; and the extra that is to be installed is there."""
    said = subprocess.run(
        ["make", "-n", "--no-print-directory", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert said.stdout.splitlines()[-1] == ".venv/demo/bin/hooklane demo"
    assert "services" in (importlib.metadata.metadata("hooklane").get_all("Provides-Extra") or ())


def test_subscribe_publish_and_look(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    """The commands that subscribe and look, and the programs that publish, do what is said."""
    topic = f"{prefix}.orders.events"
    create_topic(kafka, topic, 2)
    places = {"localhost:9092": kafka.bootstrap_servers, "orders.events": topic}
    [document] = blocks(README, "Subscribe", "yaml")
    (tmp_path / "subscriptions.yaml").write_text(put_into(document, places))
    environ = environment(kafka, prefix, FANOUT__TOPICS=json.dumps([topic]))
    environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with Shell(tmp_path, environ) as shell:
        shell.run("hooklane topics apply")
        for commands in blocks(README, "Subscribe", "sh"):
            shell.run(commands)
        said = "\n".join(shell.seen)
        assert "\nwhsec_" in said
        assert "billing-invoices valid\n" in said
        assert "billing-invoices created\n" in said
        assert re.search("^billing-invoices +active +https://hooks.example.com", said, re.MULTILINE)
        for program in blocks(README, "Publish from a service", "python"):
            subprocess.run(
                [sys.executable, "-c", put_into(program, places)], check=True, timeout=60
            )
        shell.run(blocks(README, "Run it for real", "sh")[0])
        assert "Every topic is as it must be." in "\n".join(shell.seen)
        assert shell.end() == 0
    published = read_topic(kafka, topic)
    assert [one.key for one in published] == [b"c-42", b"c-42"]
    by_value = {one.value: dict(one.headers) for one in published}
    assert by_value[b'{"amount": 250}'] == {"event-type": b"order.paid"}
    assert by_value[b'{"amount":310}']["ce_type"] == b"order.paid"


def test_a_receiver_verifies_as_the_readme_says(site: Site, sink: WebhookSink) -> None:
    """The README's function takes a real delivery, and refuses it with another body."""
    [program] = blocks(README, "Verify in a receiver", "python")
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 - it is our own page
    site.subscribe("reader", sink.url("reader"), signing={"secrets": [SECRET]})
    site.publish_numbers(["c-42"])
    with site.fanout():
        sink.wait_for(lambda: len(sink.hits) == 1)
    [hit] = sink.hits
    assert names["verified"](SECRET, hit.headers, hit.body) == {"n": 0}
    with pytest.raises(WebhookVerificationError):
        names["verified"](SECRET, hit.headers, hit.body + b" ")
