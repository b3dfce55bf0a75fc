"""The audit as `hooklane audit` shows it: which records are meant, and their rows. Pure."""

from dataclasses import dataclass

from hooklane.ops.log_selection import ALWAYS, Window, key_text, moment
from hooklane.ops.output import Column, Row
from hooklane.schemas.codec import AUDITS, CodecError
from hooklane.schemas.records_operator import AuditRecord

COLUMNS = (
    Column("time"),
    Column("by"),
    Column("action"),
    Column("state"),
    Column("subscription"),
    Column("count", align="right"),
    Column("detail"),
    Column("why"),
    Column("id"),
)
FIELDS = (
    "time", "id", "by", "host", "action", "state", "subscription", "selection", "count", "detail",
    "why", "command", "unreadable",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditSelection:
    """Which records are meant; None is any. `action` may be the first word of several."""

    window: Window = ALWAYS
    by: str | None = None
    action: str | None = None
    subscription: str | None = None
    id: str | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing but the time is asked for."""
        return all(one is None for one in (self.by, self.action, self.subscription, self.id))

    def holds(self, record: AuditRecord) -> bool:
        return (
            self.window.holds(record.at_ms)
            and self.by in {None, record.by}
            and (self.action is None or f"{record.action} ".startswith(f"{self.action} "))
            and (self.subscription is None or _is_about(record, self.subscription))
            and self.id in {None, record.id}
        )


class AuditPicker:
    """Takes the records that are meant. `unread` counts those that cannot be read and may be."""

    def __init__(self, selection: AuditSelection) -> None:
        self._selection = selection
        self.unread = 0

    def pick(self, key: bytes | None, value: bytes | None, at_ms: int) -> tuple[int, Row] | None:
        """The time and the row of a record, if it is meant. `at_ms`: the record's timestamp."""
        if value is None:
            return None
        try:
            record = AUDITS.decode(value)
        except CodecError as error:
            if not self._selection.window.holds(at_ms):
                return None
            if self._selection.is_all:
                return at_ms, unread_row(key, at_ms, str(error))
            self.unread += 1
            return None
        return (record.at_ms, audit_row(record)) if self._selection.holds(record) else None


def audit_row(record: AuditRecord) -> Row:
    """Every field of a record."""
    return {
        "time": moment(record.at_ms),
        "id": record.id,
        "by": record.by,
        "host": record.host,
        "action": record.action,
        "state": record.state.value,
        "subscription": record.subscription,
        "selection": dict(record.selection),
        "count": record.count,
        "detail": record.detail,
        "why": record.why or None,
        "command": record.command,
        "unreadable": None,
    }


def unread_row(key: bytes | None, at_ms: int, why: str) -> Row:
    """A record that this version cannot read."""
    return {
        **dict.fromkeys(FIELDS),
        "time": moment(at_ms),
        "id": key_text(key),
        "detail": why,
        "unreadable": why,
    }


def _is_about(record: AuditRecord, subscription: str) -> bool:
    """Several subscriptions that one command was about are in its selection."""
    named = record.selection.get("subscriptions", "").split(", ")
    return subscription == record.subscription or subscription in named
