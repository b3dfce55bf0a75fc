"""How PostgreSQL is reached, and what its errors mean."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hooklane.producer.outbox.errors import (
    OutboxError,
    SessionLostError,
    StatementError,
    UnusableAccessError,
)

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
Dsn: TypeAlias = Callable[[], str]
"""Gives the connection string, asked anew for each connection: a password may have changed."""

_DEFAULTS: Final = {
    "application_name": "hooklane outbox",
    "connect_timeout": "10",
    # A standby takes no marks: what was published would be published again and again.
    "target_session_attrs": "read-write",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
_SESSION: Final = (
    # By default a server notices after two hours that a client's host is gone, and keeps its locks
    # so long.
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "20000"),
    ("statement_timeout", "60s"),
    ("lock_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("default_transaction_isolation", "read committed"),
)


async def connect(dsn: Dsn) -> Connection:
    """A connection whose statements are a transaction each.

    Raises:
        UnusableAccessError: the connection string, the user or the database is wrong.
        SessionLostError: nobody answers.
    """
    try:
        given = conninfo_to_dict(dsn())
    except psycopg.Error as error:
        # Its own words may hold a part of the string, and that a password.
        raise UnusableAccessError(
            "HOOKLANE_OUTBOX__DSN is no connection string: write one such as "
            "postgresql://user:password@host:5432/database."
        ) from error
    try:
        connection = await psycopg.AsyncConnection.connect(
            make_conninfo("", **{**_DEFAULTS, **given}),
            autocommit=True,
            # A plan that was made for a short list would be used for long ones.
            prepare_threshold=None,
        )
    except psycopg.OperationalError as error:
        raise _refused(error) from error
    with translated(connection):
        await connection.execute(
            "SELECT set_config(s.name, w.value, false) FROM pg_settings AS s JOIN "
            "unnest(%s::text[], %s::text[]) AS w(name, value) USING (name)",
            ([name for name, _ in _SESSION], [value for _, value in _SESSION]),
        )
    return connection


def passwords(dsn: str) -> list[str]:
    """What in a connection string must not be written anywhere."""
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.Error:
        return []
    return [str(given[name]) for name in ("password", "sslpassword") if given.get(name)]


@contextmanager
def translated(connection: Connection) -> Iterator[None]:
    """What psycopg raises, as the relay knows it."""
    try:
        yield
    except psycopg.Error as error:
        kind = SessionLostError if connection.closed else StatementError
        raise kind(_words(error)) from error


def _refused(error: psycopg.OperationalError) -> OutboxError:
    words = _words(error)
    # libpq gives no SQLSTATE while it connects: what a server refuses begins so.
    wrong = "FATAL:" in words and any(
        told in words
        for told in ("authentication failed", "does not exist", "no pg_hba.conf", "denied")
    )
    if not wrong:
        return SessionLostError(words)
    return UnusableAccessError(f"PostgreSQL refuses the relay ({words}): see to its user's rights.")


def _words(error: psycopg.Error) -> str:
    """In one line."""
    return " ".join(str(error).split()).rstrip(".")
