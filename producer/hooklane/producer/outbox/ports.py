"""What the relay needs of PostgreSQL and Kafka, and whom it tells how it goes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from hooklane.producer.encoding import OutgoingRecord
from hooklane.producer.outbox.desk import Ask, Bad, Refusal
from hooklane.producer.outbox.layout import PayloadKind
from hooklane.producer.outbox.row import Row
from hooklane.producer.outbox.share import Standing


@dataclass(frozen=True, slots=True)
class Committed:
    """All records are in Kafka."""


@dataclass(frozen=True, slots=True)
class Refused:
    """None is; Kafka will not have the records at these places."""

    places: Mapping[int, Refusal]


@dataclass(frozen=True, slots=True)
class Unsure:
    """Nobody knows whether they are, or Kafka is away. The publisher has to be opened anew."""

    reason: str


Result: TypeAlias = Committed | Refused | Unsure


class Publisher(Protocol):
    """Publishes what is in one bucket."""

    async def open(self) -> None:
        """Fence every earlier publisher of the bucket; however long Kafka does not answer."""

    async def publish(self, records: Sequence[OutgoingRecord]) -> Result:
        """All of these, or none."""

    async def close(self) -> None: ...


class Session(Protocol):
    """The part of `database.Session` that the relay needs."""

    kind: PayloadKind
    name: str

    @property
    def number(self) -> int: ...
    async def enrol(self) -> None: ...
    async def standing(self) -> Standing: ...
    async def lock(self, bucket: int) -> bool: ...
    async def unlock(self, bucket: int) -> None: ...
    async def read(self, ask: Ask, limit: int) -> list[Row]: ...
    async def mark(self, positions: Sequence[int]) -> None: ...
    async def set_aside(self, bad: Iterable[Bad]) -> None: ...
    async def waiting(self) -> tuple[int, float | None]: ...
    async def close(self) -> None: ...


class Told(Protocol):
    """Who is told how it goes."""

    def connected(self, is_connected: bool) -> None: ...
    def buckets(self, owned: int) -> None: ...
    def published(self, rows: Sequence[Row], now: float) -> None: ...
    def bad(self, one: Bad) -> None: ...
    def unsure(self) -> None: ...
    def held(self, queues: int) -> None: ...
    def waiting(self, rows: int, oldest_s: float | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """`rows`: at most so many a turn; `look_s`: how often to look where nothing notifies;
    `again_s`: how often to look at a row again that cannot be published."""

    rows: int = 500
    look_s: float = 1.0
    again_s: float = 10.0
