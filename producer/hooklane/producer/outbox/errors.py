"""What can go wrong with an outbox.

OutboxError               one sentence that names what to change
├── UnusableTableError    the table, its columns, or the rights on it: not without a person
├── UnusableAccessError   PostgreSQL refuses the user, the database or the connection string
├── StatementError        PostgreSQL refuses a statement now; the session goes on
└── SessionLostError      PostgreSQL is away, or has ended the session: comes back by itself
"""


class OutboxError(Exception):
    """Its text is one sentence."""


class UnusableTableError(OutboxError):
    pass


class UnusableAccessError(OutboxError):
    pass


class StatementError(OutboxError):
    pass


class SessionLostError(OutboxError):
    pass
