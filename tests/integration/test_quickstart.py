"""docs/quickstart.md, the way without Docker, typed into a shell as it is written.

Changed are only ports. The scripts of Kafka's archive are not among the jars that the tests fetch:
those of the same names here start the same Java programs, with the settings that Kafka ships.
"""

import os
import sys
from pathlib import Path

import pytest

from tests.kafka.broker import free_ports
from tests.kafka.fetch import ensure_jars
from tests.support.pages import blocks, every_block, page, put_into
from tests.support.shell import Shell

QUICKSTART = page("docs/quickstart.md")

_JAVA = """#!/bin/sh
exec java -Xms128m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '{jars}/*' {program} "$@"
"""
_TOPICS = """#!{python}
import argparse
import sys
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

options = argparse.ArgumentParser()
options.add_argument("--bootstrap-server", required=True)
options.add_argument("--create", action="store_true", required=True)
options.add_argument("--topic", required=True)
options.add_argument("--partitions", type=int, required=True)
given = options.parse_args()
admin = AdminClient({{"bootstrap.servers": given.bootstrap_server, "log_level": 0}})
made = admin.create_topics([NewTopic(given.topic, given.partitions, 1)], request_timeout=2)
try:
    made[given.topic].result()
except KafkaException as error:
    sys.exit(str(error))
print(f"Created topic {{given.topic}}.")
"""
_SHIPPED = """process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/kraft-combined-logs
num.partitions=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""


def kafka_archive(folder: Path, places: dict[str, str]) -> None:
    """What the page uses of Kafka's archive, in this folder."""
    tools = folder / "bin"
    tools.mkdir()
    jars = ensure_jars()
    for name, program in {
        "kafka-storage.sh": "kafka.tools.StorageTool",
        "kafka-server-start.sh": "kafka.Kafka",
    }.items():
        (tools / name).write_text(_JAVA.format(jars=jars, program=program))
    (tools / "kafka-topics.sh").write_text(_TOPICS.format(python=sys.executable))
    for tool in tools.iterdir():
        tool.chmod(0o755)
    (folder / "config").mkdir()
    shipped = put_into(_SHIPPED.format(folder=folder), places)
    (folder / "config" / "server.properties").write_text(shipped)


@pytest.mark.timeout(300)
def test_from_nothing_to_an_own_event_at_an_own_receiver(tmp_path: Path) -> None:
    """Every command and program of the page, one after the other; each shows what is said there."""
    written = ("9092", "9093", "8090", "8091", "8080", "8081")
    ports = dict(zip(written, map(str, free_ports(len(written))), strict=True))
    kafka_archive(tmp_path, ports)
    steps = {
        heading: [put_into(one, ports) for one in blocks(QUICKSTART, heading, "sh")]
        for heading in (
            "1. Install",
            "2. A Kafka",
            "3. Settings",
            "4. Who wants what",
            "5. A receiver, and the two services",
            "6. An event",
            "7. Your own receiver",
            "8. Your own event",
            "9. The end",
        )
    }
    assert sum(map(len, steps.values())) == len(every_block(QUICKSTART, "sh"))
    files = {
        "subscriptions.yaml": blocks(QUICKSTART, "4. Who wants what", "yaml"),
        "receiver.py": blocks(QUICKSTART, "7. Your own receiver", "python"),
        "publish.py": blocks(QUICKSTART, "8. Your own event", "python"),
    }
    for name, [content] in files.items():
        (tmp_path / name).write_text(put_into(content, ports))
    environ = {k: v for k, v in os.environ.items() if not k.startswith("HOOKLANE_")}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    environ["HOOKLANE_HTTP__HOST"] = "127.0.0.1"
    with Shell(tmp_path, environ) as shell:

        def do(heading: str, *shown: str) -> None:
            for commands in steps[heading]:
                shell.run(commands)
            for words in shown:
                shell.wait_for_row(words)

        do("1. Install", "^hooklane 0[.]")
        do("2. A Kafka", "^Created topic orders.events[.]")
        do("3. Settings", r"^hooklane[.]retry[.]10h +created")
        do("4. Who wants what", "^first-run created")
        do("5. A receiver, and the two services", '{"ready":true,"missing":\\[\\]}')
        do("6. An event", '204 .* 2 +1 +yes +next +order.paid +c-42 .*{"amount": 130}')
        assert shell.rows() == [
            ("503", "0", "1", "next", '{"amount": 120}'),
            ("204", "0", "2", "retry", '{"amount": 120}'),
            ("204", "2", "1", "next", '{"amount": 130}'),
        ]
        do("7. Your own receiver", "^first-run configured", r"^\+url: .*" + ports["8091"])
        do("8. Your own event", r"^paid: {'amount': 250} by c-43$")
        do("9. The end", "^3 requests, 2 accepted, 1 failed on request")
        assert shell.end() == 0
