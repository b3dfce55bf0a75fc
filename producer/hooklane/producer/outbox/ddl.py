"""The SQL that makes an outbox as the relay likes it best, for a person to run. Pure."""

from collections.abc import Iterator

from hooklane.producer.outbox.layout import After, Layout, OnBadRow, Part

_TYPES = {
    Part.ID: "uuid PRIMARY KEY",
    Part.AGGREGATETYPE: "text NOT NULL",
    Part.AGGREGATEID: "text",
    Part.TYPE: "text NOT NULL",
    Part.PAYLOAD: "jsonb",
    Part.POSITION: "bigint GENERATED ALWAYS AS IDENTITY UNIQUE",
    Part.TIME: "timestamptz NOT NULL DEFAULT clock_timestamp()",
    Part.HEADERS: "jsonb",
    Part.PUBLISHED: "timestamptz",
    Part.FAILURE: "text",
}


def quoted(name: str) -> str:
    """An identifier as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def quoted_table(table: str) -> str:
    """A table's name, with its schema or without."""
    return ".".join(map(quoted, table.split(".", 1)))


def creation(layout: Layout, role: str) -> Iterator[str]:
    """The table, an index of what waits where rows stay, the trigger, and what `role` may do."""
    table = quoted_table(layout.table)
    columns = layout.columns()
    lines = ",\n".join(f"  {quoted(name)} {_TYPES[part]}" for part, name in columns.items())
    yield f"CREATE TABLE {table} (\n{lines}\n);"
    staying = [columns[part] for part in (Part.PUBLISHED, Part.FAILURE) if part in columns]
    if staying:
        waiting = " AND ".join(f"{quoted(name)} IS NULL" for name in staying)
        yield f"CREATE INDEX ON {table} ({quoted(columns[Part.POSITION])}) WHERE {waiting};"
    if layout.channel:
        yield from _trigger(layout, table)
    yield from _grants(layout, table, role)


def _trigger(layout: Layout, table: str) -> Iterator[str]:
    function = quoted_table(f"{layout.table}_notify")
    channel = layout.channel.replace("'", "''")
    yield (
        f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$\n"
        f"BEGIN\n  PERFORM pg_notify('{channel}', '');\n  RETURN NULL;\nEND $$;"
    )
    yield (
        f"CREATE TRIGGER {quoted('notify_relay')} AFTER INSERT ON {table}\n"
        f"  FOR EACH STATEMENT EXECUTE FUNCTION {function}();"
    )


def _grants(layout: Layout, table: str, role: str) -> Iterator[str]:
    to = quoted(role)
    if "." in layout.table:
        yield f"GRANT USAGE ON SCHEMA {quoted(layout.table.split('.')[0])} TO {to};"
    yield f"GRANT SELECT ON {table} TO {to};"
    if layout.after is After.DELETE:
        yield f"GRANT DELETE ON {table} TO {to};"
    updated = [
        quoted(layout.named(part))
        for part, wanted in (
            (Part.PUBLISHED, layout.after is After.MARK),
            (Part.FAILURE, layout.on_bad_row is OnBadRow.SKIP),
        )
        if wanted
    ]
    if updated:
        yield f"GRANT UPDATE ({', '.join(updated)}) ON {table} TO {to};"
