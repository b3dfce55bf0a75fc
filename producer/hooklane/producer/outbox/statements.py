"""The SQL of a table's layout. Every name is quoted as an identifier, so that it can be any."""

from typing import Final

from psycopg import sql

from hooklane.producer.outbox.layout import After, Layout, Part, PayloadKind

_SEPARATOR: Final = "\x1f"
"""Between aggregatetype and aggregateid in the name of a queue."""


class Statements:
    """What a session asks of one table. `kind`: of its payloads."""

    def __init__(self, layout: Layout, kind: PayloadKind) -> None:
        self._layout = layout
        table = identifier(layout.table)
        position = self._of(Part.POSITION)
        waiting = _joined(" AND ", [sql.SQL("true"), *self._waiting()])
        self.read = sql.SQL(
            "SELECT {position}, {bucket}, {queue}, {id}, {aggregatetype}, {aggregateid}, {type}, "
            "{payload}, {time}, {headers} FROM {table} "
            "WHERE {waiting} AND {bucket} = ANY(%(buckets)s) AND {queue} <> ALL(%(queues)s) "
            "AND coalesce({aggregatetype}, '') <> ALL(%(types)s) ORDER BY {position} "
            "LIMIT %(limit)s"
        ).format(
            position=position,
            bucket=self._bucket(),
            queue=self._queue(),
            id=_text(self._of(Part.ID)),
            aggregatetype=_text(self._of(Part.AGGREGATETYPE)),
            aggregateid=_text(self._of(Part.AGGREGATEID)),
            type=_text(self._of(Part.TYPE)),
            payload=self._payload(kind),
            time=self._optional(Part.TIME, "timestamptz"),
            headers=self._optional(Part.HEADERS, "text"),
            table=table,
            waiting=waiting,
        )
        self.mark = self._mark(table, position)
        self.set_aside = self._set_aside(table, position)
        self.waiting = sql.SQL(
            "SELECT count(*), extract(epoch FROM now() - min(time))::float8 FROM "
            "(SELECT {time} AS time FROM {table} WHERE {waiting} ORDER BY {position} LIMIT %s) AS w"
        ).format(
            time=self._optional(Part.TIME, "timestamptz"),
            table=table,
            waiting=waiting,
            position=position,
        )

    def _of(self, part: Part) -> sql.Identifier:
        return sql.Identifier(self._layout.named(part))

    def _optional(self, part: Part, kind: str) -> sql.Composable:
        name = self._layout.column(part)
        what = sql.SQL("NULL") if name is None else sql.Identifier(name)
        return sql.SQL("{}::{}").format(what, sql.SQL(kind))

    def _queue(self) -> sql.Composed:
        """Rows without a key are a queue each."""
        key = _text(self._of(Part.AGGREGATEID))
        if not self._layout.one_topic:
            of_type = sql.SQL("coalesce({}, '')").format(_text(self._of(Part.AGGREGATETYPE)))
            key = sql.SQL("({} || {} || {})").format(of_type, sql.Literal(_SEPARATOR), key)
        # Byte by byte, as Kafka compares keys, whatever the column's collation makes equal.
        return sql.SQL("(coalesce({}, {}, '') COLLATE \"C\")").format(key, _text(self._of(Part.ID)))

    def _bucket(self) -> sql.Composed:
        count = sql.Literal(self._layout.buckets)
        return sql.SQL("(((hashtextextended({}, 0) %% {}) + {}) %% {})::int").format(
            self._queue(), count, count, count
        )

    def _payload(self, kind: PayloadKind) -> sql.Composed:
        payload = self._of(Part.PAYLOAD)
        if kind is PayloadKind.BYTES:
            return sql.SQL("{}::bytea").format(payload)
        return sql.SQL("convert_to({}::text, 'UTF8')").format(payload)

    def _waiting(self) -> list[sql.Composed]:
        """What a row that is neither published nor set aside fulfils."""
        names = (self._layout.column(part) for part in (Part.PUBLISHED, Part.FAILURE))
        return [sql.SQL("{} IS NULL").format(sql.Identifier(one)) for one in names if one]

    def _mark(self, table: sql.Identifier, position: sql.Identifier) -> sql.Composed:
        if self._layout.after is After.DELETE:
            return sql.SQL("DELETE FROM {} WHERE {} = ANY(%s)").format(table, position)
        return sql.SQL("UPDATE {} SET {} = now() WHERE {} = ANY(%s)").format(
            table, self._of(Part.PUBLISHED), position
        )

    def _set_aside(self, table: sql.Identifier, position: sql.Identifier) -> sql.Composed | None:
        failure = self._layout.column(Part.FAILURE)
        if failure is None:
            return None
        return sql.SQL("UPDATE {} SET {} = %s WHERE {} = %s").format(
            table, sql.Identifier(failure), position
        )


def identifier(table: str) -> sql.Identifier:
    """A table's name, with its schema or without."""
    return sql.Identifier(*table.split(".", 1))


def _text(column: sql.Composable) -> sql.Composable:
    return sql.SQL("{}::text").format(column)


def _joined(word: str, parts: list[sql.SQL | sql.Composed]) -> sql.Composed:
    return sql.SQL(word).join(parts)
