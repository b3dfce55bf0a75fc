"""An outbox in a database of a test's own, services that write into it, and relays."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import psycopg
from psycopg import sql

from hooklane.ops.outbox_layout import layout_from
from hooklane.producer.outbox.ddl import creation
from hooklane.runtime.settings_outbox import OutboxSettings
from tests.kafka.broker import Kafka
from tests.kafka.records import Stored, read_topic
from tests.support.order import Arrival, Verdict, judge_arrivals
from tests.support.postgres import Postgres
from tests.support.processes import ServiceProcess, environment

PASSWORD = "canary-of-the-relays-password"


class Outbox:
    """A database with the table as `--print-sql` makes it, and a role that may just what that
    grants. `settings`: of the section, as the environment has them."""

    def __init__(
        self, postgres: Postgres, kafka: Kafka, prefix: str, settings: OutboxSettings
    ) -> None:
        self._postgres = postgres
        self._kafka = kafka
        self._prefix = prefix
        self.database = prefix.replace("-", "_")
        self.role = f"{self.database}_relay"
        self.settings = settings
        with psycopg.connect(postgres.dsn("admin", "admin", "postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.database)))
            admin.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(self.role), sql.Literal(PASSWORD)
                )
            )
        for statement in creation(layout_from(settings), self.role):
            self.run(statement)
        self.run("CREATE TABLE aggregate (id text PRIMARY KEY, n int NOT NULL DEFAULT 0)")

    @property
    def dsn(self) -> str:
        """The relay's."""
        return self._postgres.dsn(self.role, PASSWORD, self.database)

    def connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """The administrator's."""
        return psycopg.connect(self._postgres.dsn("admin", "admin", self.database), autocommit=True)

    def run(self, statement: str, values: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """As the administrator."""
        with self.connect() as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def write(
        self,
        key: str | None,
        type_: str = "order.paid",
        of: str = "orders",
        payload: str | None = "{}",
    ) -> int:
        """One row; gives its position."""
        found = self.run(
            "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload) "
            "VALUES (gen_random_uuid(), %s, %s, %s, %s) RETURNING position",
            (of, key, type_, payload),
        )
        return int(found[0][0])

    def left(self) -> int:
        """How many rows there are."""
        return int(self.run("SELECT count(*) FROM outbox")[0][0])

    def relay(self, name: str = "one", **more: str) -> ServiceProcess:
        """A process that is not started yet."""
        given = self.settings.model_dump(mode="json", exclude_unset=True)
        told = {
            f"OUTBOX__{one.upper()}": json.dumps(value) if isinstance(value, dict) else str(value)
            for one, value in given.items()
        }
        told |= {"OUTBOX__DSN": self.dsn, "KAFKA__SESSION_TIMEOUT": "6s", **more}
        return ServiceProcess("outbox", environment(self._kafka, self._prefix, **told), name)

    def cut(self) -> int:
        """End every session of the relays; how many there were."""
        return len(
            self.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                (self.role,),
            )
        )

    def published(self, topic: str) -> list[Stored]:
        return read_topic(self._kafka, topic)


class Writers:
    """Services that change aggregates and write about it, in one transaction each: some of them
    commit late, and some roll back. Each row's payload has its aggregate's next number."""

    def __init__(self, outbox: Outbox, keys: int, threads: int = 3) -> None:
        self._outbox = outbox
        self._keys = keys
        self._stop = threading.Event()
        self.written: dict[str, int] = defaultdict(int)
        self._threads = [
            threading.Thread(target=self._write, args=(Random(n),)) for n in range(threads)
        ]
        outbox.run(
            "INSERT INTO aggregate SELECT 'k' || n FROM generate_series(0, %s) AS n", (keys - 1,)
        )

    @contextmanager
    def writing(self) -> Iterator[None]:
        for one in self._threads:
            one.start()
        try:
            yield
        finally:
            self._stop.set()
            for one in self._threads:
                one.join()
            self.written |= dict(self._outbox.run("SELECT id, n FROM aggregate"))

    def _write(self, random: Random) -> None:
        with self._outbox.connect() as connection:
            while not self._stop.is_set():
                key = f"k{random.randrange(self._keys)}"
                with connection.transaction(force_rollback=random.random() < 0.05):
                    ((number,),) = connection.execute(
                        "UPDATE aggregate SET n = n + 1 WHERE id = %s RETURNING n", (key,)
                    ).fetchall()
                    connection.execute(
                        "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload) "
                        "VALUES (gen_random_uuid(), 'orders', %s, 'order.paid', %s)",
                        (key, f'{{"n": {number}}}'),
                    )
                    if random.random() < 0.1:
                        time.sleep(0.05)

    def verdict(self, topic: str) -> Verdict:
        """The independent checker's. A key is a path there, since numbers are each key's own."""
        arrivals = []
        for one in self._outbox.published(topic):
            key = (one.key or b"").decode()
            number = int((one.value or b"").split(b":")[1].strip(b" }"))
            arrivals.append(Arrival(key, key, number, taken=True, settles=True))
        wanted = {key: set(range(1, n + 1)) for key, n in self.written.items()}
        return judge_arrivals(arrivals, wanted)


def wait_until(reached: Callable[[], bool], seconds: float = 30.0) -> None:
    """With a deadline."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not reached within {seconds} s"
        time.sleep(0.02)
