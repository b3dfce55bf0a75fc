"""Whether a table is one that the relay's promises hold for. Pure: told what the catalogue says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hooklane.producer.outbox.ddl import quoted, quoted_table
from hooklane.producer.outbox.errors import UnusableTableError
from hooklane.producer.outbox.layout import After, Layout, OnBadRow, Part, PayloadKind

_NUMBERS: Final = frozenset({"smallint", "integer", "bigint"})
_KINDS: Final[Mapping[str, PayloadKind]] = {
    "json": PayloadKind.JSON,
    "jsonb": PayloadKind.JSON,
    "bytea": PayloadKind.BYTES,
    "text": PayloadKind.TEXT,
    "character varying": PayloadKind.TEXT,
    "character": PayloadKind.TEXT,
}
_SETTING: Final = "HOOKLANE_OUTBOX__COLUMNS"


@dataclass(frozen=True, slots=True)
class Column:
    """`kind`: its type without modifiers. `unique`: by an index of its own over all rows."""

    kind: str
    readable: bool
    writable: bool
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What the catalogue says of a table. `cache`: how many numbers a session takes from the
    sequence of its positions at once; None where there is no sequence."""

    number: int
    name: str
    columns: Mapping[str, Column]
    deletable: bool
    cache: int | None


def payload_kind(layout: Layout, found: Found | None, user: str) -> PayloadKind:
    """What the payloads are, if the table is good.

    Raises:
        UnusableTableError: it is not; says what to change.
    """
    if found is None:
        raise UnusableTableError(
            f"There is no table {layout.table} that {user} can see: set HOOKLANE_OUTBOX__TABLE, or "
            "make it by what `hooklane outbox --print-sql` prints."
        )
    _check_columns(layout, found)
    _check_rights(layout, found, user)
    _check_position(layout, found)
    name = layout.named(Part.PAYLOAD)
    kind = _KINDS.get(found.columns[name].kind)
    if kind is None:
        raise UnusableTableError(
            f"The column {name} of {found.name} is of type {found.columns[name].kind}: a payload "
            "is json, jsonb, text, varchar or bytea."
        )
    return kind


def _check_columns(layout: Layout, found: Found) -> None:
    for part, name in layout.columns().items():
        if name in found.columns:
            continue
        if part is Part.POSITION:
            raise UnusableTableError(
                f"{found.name} has no column {name} that says the order of its rows: ALTER TABLE "
                f"{quoted_table(layout.table)} ADD COLUMN {quoted(name)} bigint GENERATED ALWAYS "
                f"AS IDENTITY UNIQUE; or name such a column by {_SETTING}."
            )
        raise UnusableTableError(
            f"{found.name} has no column {name} for {part.value}: add it, or name another one by "
            f'{_SETTING}, such as {{"{part.value}": "…"}}.'
        )


def _check_rights(layout: Layout, found: Found, user: str) -> None:
    on = quoted_table(layout.table)
    for name in layout.columns().values():
        if not found.columns[name].readable:
            raise UnusableTableError(
                f"{user} may not read the column {name}: GRANT SELECT ON {on} TO {quoted(user)};"
            )
    if layout.after is After.DELETE and not found.deletable:
        raise UnusableTableError(
            f"{user} may not delete what was published: GRANT DELETE ON {on} TO {quoted(user)}; or "
            "set HOOKLANE_OUTBOX__AFTER=mark."
        )
    written = (
        (Part.PUBLISHED, layout.after is After.MARK),
        (Part.FAILURE, layout.on_bad_row is OnBadRow.SKIP),
    )
    for part, wanted in written:
        name = layout.column(part) or ""
        if wanted and not found.columns[name].writable:
            raise UnusableTableError(
                f"{user} may not write the column {name}: GRANT UPDATE ({quoted(name)}) ON {on} TO "
                f"{quoted(user)};"
            )


def _check_position(layout: Layout, found: Found) -> None:
    name = layout.named(Part.POSITION)
    position = found.columns[name]
    if position.kind not in _NUMBERS:
        raise UnusableTableError(
            f"The column {name} of {found.name} is of type {position.kind}, which says no order of "
            "rows: it has to be an identity column of type bigint."
        )
    if not position.unique:
        raise UnusableTableError(
            f"The column {name} of {found.name} has no unique index, by which rows are found: "
            f"ALTER TABLE {quoted_table(layout.table)} ADD UNIQUE ({quoted(name)});"
        )
    if found.cache is not None and found.cache > 1:
        raise UnusableTableError(
            f"Each session takes {found.cache} numbers of {found.name}.{name} at once, so that "
            f"they say no order: ALTER TABLE {quoted_table(layout.table)} ALTER COLUMN "
            f"{quoted(name)} SET CACHE 1; or set the sequence's cache to 1."
        )
