"""Records that an operator's commands write: the audit, and what became of dead letters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hooklane.schemas.lane import LaneId


class AuditState(StrEnum):
    """How far an action is. One that takes long has a record at its beginning and at its end."""

    BEGUN = "begun"
    DONE = "done"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What an operator did, or began to do. `id` is a ULID, of a run its id."""

    id: str
    at_ms: int
    by: str
    host: str
    action: str
    state: AuditState
    command: str = ""
    subscription: str | None = None
    selection: Mapping[str, str] = field(default_factory=dict)
    count: int = 0
    detail: str = ""
    why: str = ""


class Fate(StrEnum):
    """What an operator did with a dead letter."""

    REDRIVEN = "redriven"
    PURGED = "purged"


@dataclass(frozen=True, slots=True)
class LetterMark:
    """What became of a dead letter; it stands behind the letter, in the same partition."""

    lane: LaneId
    sequence: int
    fate: Fate
    run: str
    at_ms: int
    by: str = ""
