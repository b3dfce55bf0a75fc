"""The outbox's table: the SQL that makes it, and whether it is one that the promises hold for."""

from dataclasses import replace
from pathlib import Path

import pytest

from hooklane.producer.outbox.check import Column, Found, payload_kind
from hooklane.producer.outbox.ddl import creation
from hooklane.producer.outbox.errors import UnusableTableError
from hooklane.producer.outbox.layout import After, Layout, OnBadRow, Part, PayloadKind

ROOT = Path(__file__).resolve().parents[2]
TEXT = Column("text", readable=True, writable=False)
GOOD = Found(
    number=1,
    name="public.outbox",
    columns={
        **dict.fromkeys(("id", "aggregatetype", "aggregateid", "type"), TEXT),
        "payload": replace(TEXT, kind="jsonb"),
        "position": replace(TEXT, kind="bigint", unique=True),
    },
    deletable=True,
    cache=1,
)


def with_column(name: str, **changes: object) -> Found:
    changed = replace(GOOD.columns[name], **changes)  # type: ignore[arg-type]  # of a Column
    return replace(GOOD, columns={**GOOD.columns, name: changed})


@pytest.mark.parametrize(
    ("kind", "payloads"),
    [
        ("jsonb", PayloadKind.JSON),
        ("json", PayloadKind.JSON),
        ("text", PayloadKind.TEXT),
        ("character varying", PayloadKind.TEXT),
        ("bytea", PayloadKind.BYTES),
    ],
)
def test_a_good_table_says_what_its_payloads_are(kind: str, payloads: PayloadKind) -> None:
    """By the column's type."""
    assert payload_kind(Layout(), with_column("payload", kind=kind), "relay") is payloads


@pytest.mark.parametrize(
    ("found", "layout", "words"),
    [
        (None, Layout(), "There is no table outbox that relay can see"),
        (with_column("payload", kind="xml"), Layout(), "a payload is json"),
        (with_column("position", kind="uuid"), Layout(), "says no order"),
        (with_column("position", unique=False), Layout(), 'ADD UNIQUE ("position")'),
        (replace(GOOD, cache=20), Layout(), "SET CACHE 1"),
        (replace(GOOD, deletable=False), Layout(), 'GRANT DELETE ON "outbox" TO "relay"'),
        (with_column("type", readable=False), Layout(), "may not read the column type"),
        (GOOD, Layout(names={Part.TYPE: "kind"}), '"type": "…"'),
        (GOOD, Layout(after=After.MARK), "no column published_at"),
        (GOOD, Layout(on_bad_row=OnBadRow.SKIP), "no column failure"),
        (GOOD, Layout(after=After.MARK, names={Part.PUBLISHED: "type"}), 'GRANT UPDATE ("type")'),
    ],
)
def test_what_is_wrong_is_one_sentence_that_says_what_to_do(
    found: Found | None, layout: Layout, words: str
) -> None:
    """It names the statement or the setting."""
    with pytest.raises(UnusableTableError) as raised:
        payload_kind(layout, found, "relay")
    assert words in str(raised.value)


def test_names_are_quoted() -> None:
    """A table or a column may be called what it likes, and nothing of it becomes SQL."""
    layout = Layout(table='shop.out"box', names={Part.TYPE: "order"}, channel="it's")
    sql = "\n".join(creation(layout, "Relay"))
    assert 'CREATE TABLE "shop"."out""box"' in sql
    assert '"order" text NOT NULL' in sql
    assert "pg_notify('it''s', '')" in sql
    assert 'GRANT USAGE ON SCHEMA "shop" TO "Relay";' in sql


def test_the_page_has_the_sql() -> None:
    """docs/outbox.md shows what `--print-sql` prints by default."""
    page = (ROOT / "docs" / "outbox.md").read_text()
    assert "\n\n".join(creation(Layout(), "hooklane_relay")) in page


def test_the_least_rights_are_granted() -> None:
    """What is marked may be updated and not deleted, and there is no trigger without a channel."""
    layout = Layout(after=After.MARK, on_bad_row=OnBadRow.SKIP, channel="")
    sql = "\n".join(creation(layout, "relay"))
    assert 'GRANT UPDATE ("published_at", "failure") ON "outbox" TO "relay";' in sql
    assert "DELETE" not in sql
    assert "TRIGGER" not in sql
