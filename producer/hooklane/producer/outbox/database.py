"""A session with PostgreSQL: what is read in it is read under its locks, and they end with it.

Advisory locks are told apart by two numbers: the table's, and one that says how many buckets the
relay counts with (upper half) and which of them it is (lower half; all ones: enrolled).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from psycopg import sql

from hooklane.producer.outbox.check import Column, Found, payload_kind
from hooklane.producer.outbox.connect import Connection, Dsn, connect, translated
from hooklane.producer.outbox.desk import Ask, Bad
from hooklane.producer.outbox.errors import UnusableAccessError
from hooklane.producer.outbox.layout import Layout, Part, PayloadKind
from hooklane.producer.outbox.row import Row
from hooklane.producer.outbox.share import Enrolled, Standing
from hooklane.producer.outbox.statements import Statements, identifier

_ENROLLED: Final = 0xFFFF
_COUNTED: Final = 10_000

_TABLE: Final = """
SELECT c.oid::bigint, format('%%I.%%I', n.nspname, c.relname),
       has_table_privilege(c.oid, 'DELETE'),
       has_schema_privilege(n.oid, 'USAGE')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(%s)
"""
_COLUMNS: Final = """
SELECT a.attname, format_type(a.atttypid, NULL),
       has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
       has_column_privilege(a.attrelid, a.attnum, 'UPDATE'),
       EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = a.attrelid AND i.indisunique
               AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1
               AND i.indkey[0] = a.attnum)
FROM pg_attribute AS a WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
"""
_CACHE: Final = """
SELECT s.seqcache FROM pg_depend AS d JOIN pg_sequence AS s ON s.seqrelid = d.objid
JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
AND d.refobjid = %s AND a.attname = %s
"""
_LOCKS: Final = """
SELECT DISTINCT pid, objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND classid = %s AND objsubid = 2 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Session:
    """One connection, and the table as it was found; made by `open_session`."""

    def __init__(
        self, connection: Connection, layout: Layout, found: Found, kind: PayloadKind, name: str
    ) -> None:
        self.kind = kind
        self.name = name
        """Of this table among all in the world: the same whichever relay asks."""
        self._connection = connection
        self._buckets = layout.buckets
        self._statements = Statements(layout, kind)
        self._table = found.number
        self._pid = connection.info.backend_pid

    @property
    def number(self) -> int:
        """Of this session."""
        return self._pid

    async def enrol(self) -> None:
        """Let the others know that we are here."""
        await self._all("SELECT pg_advisory_lock_shared(%s, %s)", self._lock(_ENROLLED))

    async def standing(self) -> Standing:
        """Who is here."""
        locks = await self._all(_LOCKS, (self._table,))
        here = [(pid, number >> 16, number & _ENROLLED) for pid, number in locks]
        return Standing(
            Enrolled(self._pid, self._buckets),
            {Enrolled(pid, count) for pid, count, which in here if which == _ENROLLED},
            any(count != self._buckets for _, count, which in here if which != _ENROLLED),
        )

    async def lock(self, bucket: int) -> bool:
        """Whether the bucket is ours now."""
        ((got,),) = await self._all("SELECT pg_try_advisory_lock(%s, %s)", self._lock(bucket))
        return bool(got)

    async def unlock(self, bucket: int) -> None:
        await self._all("SELECT pg_advisory_unlock(%s, %s)", self._lock(bucket))

    async def read(self, ask: Ask, limit: int) -> list[Row]:
        """Rows that wait, in order of their positions; of what is asked for."""
        asked = {
            "buckets": list(ask.buckets),
            "queues": list(ask.queues),
            "types": list(ask.types),
            "limit": limit,
        }
        rows = await self._all(self._statements.read, asked)
        return [Row(*row) for row in rows]

    async def mark(self, positions: Sequence[int]) -> None:
        """These are published: delete them, or write down when."""
        await self._run(self._statements.mark, (list(positions),))

    async def set_aside(self, bad: Iterable[Bad]) -> None:
        """Write into each of these rows that are to be set aside why it was not published."""
        statement = self._statements.set_aside
        for one in bad:
            if one.aside and statement is not None:
                await self._run(statement, (one.reason, one.row.position))

    async def waiting(self) -> tuple[int, float | None]:
        """How many rows wait, counted up to 10,000, and for how many seconds the oldest has."""
        ((count, oldest_s),) = await self._all(self._statements.waiting, (_COUNTED,))
        return count, oldest_s

    async def close(self) -> None:
        """Its locks are anybody's then."""
        await self._connection.close()

    def _lock(self, which: int) -> tuple[int, int]:
        table = self._table - (1 << 32) if self._table >= 1 << 31 else self._table
        return table, self._buckets << 16 | which

    async def _all(self, statement: Any, values: Any) -> list[tuple[Any, ...]]:
        with translated(self._connection):
            cursor = await self._connection.execute(statement, values, binary=True)
            return await cursor.fetchall()

    async def _run(self, statement: sql.Composed, values: Any) -> None:
        with translated(self._connection):
            await self._connection.execute(statement, values)


async def open_session(dsn: Dsn, layout: Layout) -> Session:
    """Connect, and look whether the table is one that the promises hold for.

    Raises:
        UnusableTableError, UnusableAccessError: it is not, or is not to be had.
        SessionLostError: PostgreSQL is away.
    """
    connection = await connect(dsn)
    try:
        found, user, name = await _look(connection, layout)
        kind = payload_kind(layout, found, user)
        assert found is not None  # noqa: S101 - or `payload_kind` had raised
        return Session(connection, layout, found, kind, name)
    except BaseException:
        await connection.close()
        raise


async def _look(connection: Connection, layout: Layout) -> tuple[Found | None, str, str]:
    with translated(connection):
        one = await connection.execute(
            "SELECT pg_backend_pid(), current_user, "
            "system_identifier || '-' || current_database() FROM pg_control_system()"
        )
        row = await one.fetchone()
        assert row is not None  # noqa: S101 - it has no condition
        pid, user, name = row
        if pid != connection.info.backend_pid:
            raise UnusableAccessError(
                "Between the relay and PostgreSQL there is a pooler, which may give a session's "
                "locks to others: let HOOKLANE_OUTBOX__DSN name PostgreSQL itself."
            )
        named = identifier(layout.table).as_string(connection)
        tables = await (await connection.execute(_TABLE, (named,))).fetchall()
        if not tables or not tables[0][3]:
            return None, user, name
        number, table, deletable, _ = tables[0]
        columns = await (await connection.execute(_COLUMNS, (number,))).fetchall()
        position = layout.named(Part.POSITION)
        caches = await (await connection.execute(_CACHE, (number, position))).fetchall()
    found = Found(
        number,
        table,
        {name: Column(*facts) for name, *facts in columns},
        deletable,
        caches[0][0] if caches else None,
    )
    return found, user, f"{name}-{table}"
