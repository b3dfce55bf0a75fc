"""What is settled above the committed offset of one event partition. Pure.

Kafka commits one offset a partition: "everything before it is done". Deliveries do not end in
that order. An example, with subscriptions A and B, and the events 10 to 14 read:

    offset     10        11      12        13     14
    matched    A, B      A       A, B      -      B
    settled    A         A       A, B      all    -

Event 10 still waits for B, so 10 is the offset that may be committed. The ledger beside it says:
offsets 11 to 13 are settled altogether, and of 10 the delivery to A is. A new owner that starts
at 10 delivers only 10 to B, and 14 to B. By event instead of by delivery, A would get 10 twice
and out of its order, after 11 and 12.

What an owner inherited stays in its own ledger until the committed offset has passed it, also
for offsets that it has not read yet.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from hooklane.schemas.records import Partial, Span


@dataclass(frozen=True, slots=True)
class LedgerState:
    """The committed offset and what is settled above it. Spans and partials are in order."""

    offset: int
    settled: tuple[Span, ...] = ()
    partial: tuple[Partial, ...] = ()


@dataclass(slots=True)
class _Open:
    """An event that still has unsettled deliveries."""

    waiting: set[bytes]
    done: list[bytes]
    size: int
    at_ms: int


class Ledger:
    """Admits events in the order of their offsets; settles their deliveries in any order.

    `open_deliveries` and `open_bytes` say what is not settled, so that the window can be bounded.
    """

    def __init__(self, inherited: LedgerState) -> None:
        """`inherited.offset` is the committed offset; what lies below it is forgotten."""
        self.open_deliveries = 0
        self.open_bytes = 0
        self._next = inherited.offset
        self._open: dict[int, _Open] = {}
        self._order: deque[int] = deque()
        self._spans = [span for span in inherited.settled if span.last >= inherited.offset]
        self._starts = [span.first for span in self._spans]
        self._partial = {
            one.offset: one for one in inherited.partial if one.offset >= inherited.offset
        }

    @property
    def committable(self) -> int:
        """The offset that may be committed: of the first event that is not settled."""
        self._forget_settled()
        return self._order[0] if self._order else self._next

    @property
    def position(self) -> int:
        """The offset after the last admitted event."""
        return self._next

    @property
    def span(self) -> int:
        """Offsets between the first event that is not settled and the position."""
        return self._next - self.committable

    @property
    def oldest_ms(self) -> int | None:
        """The timestamp of the first event that is not settled, if there is one."""
        offset = self.committable
        return self._open[offset].at_ms if offset in self._open else None

    def is_settled(self, offset: int) -> bool:
        """Whether an earlier owner settled every delivery of the event at `offset`."""
        at = bisect_right(self._starts, offset) - 1
        return at >= 0 and offset <= self._spans[at].last

    def settled_subscribers(self, offset: int) -> Collection[bytes]:
        """The subscribers whose delivery of this event an earlier owner settled."""
        found = self._partial.get(offset)
        return found.subscribers if found is not None else ()

    def admit(
        self, offset: int, subscribers: Collection[bytes], size: int = 0, at_ms: int = 0
    ) -> None:
        """The event of `size` bytes at `offset` is here; these deliveries of it are not settled.

        `at_ms` is its timestamp in Kafka (milliseconds since the epoch).

        Raises:
            ValueError: not above every offset admitted before.
        """
        if offset < self._next:
            raise ValueError(f"offset {offset} comes after {self._next - 1} was admitted")
        self._next = offset + 1
        inherited = self._partial.pop(offset, None)
        if subscribers:
            done = list(inherited.subscribers) if inherited is not None else []
            self._open[offset] = _Open(set(subscribers), done, size, at_ms)
            self._order.append(offset)
            self.open_deliveries += len(subscribers)
            self.open_bytes += size

    def settle(self, offset: int, subscriber: bytes) -> None:
        """The delivery of the event at `offset` to `subscriber` is settled. Once is enough."""
        event = self._open.get(offset)
        if event is None or subscriber not in event.waiting:
            return
        event.waiting.remove(subscriber)
        event.done.append(subscriber)
        self.open_deliveries -= 1
        if not event.waiting:
            del self._open[offset]
            self.open_bytes -= event.size

    def state(self) -> LedgerState:
        """What to write: own findings up to the position, inherited ones beyond it."""
        offset = self.committable
        return LedgerState(
            offset, tuple(_joined(self._settled_spans(offset))), tuple(self._partials())
        )

    def _forget_settled(self) -> None:
        while self._order and self._order[0] not in self._open:
            self._order.popleft()

    def _settled_spans(self, offset: int) -> Iterator[Span]:
        """The gaps between open events, then what was inherited beyond the position."""
        start = offset
        for one in self._order:
            if one in self._open:
                if one > start:
                    yield Span(start, one - 1)
                start = one + 1
        if self._order and self._next > start:
            yield Span(start, self._next - 1)
        for span in self._spans:
            if span.last >= self._next:
                yield Span(max(span.first, self._next), span.last)

    def _partials(self) -> Iterator[Partial]:
        for offset in self._order:
            event = self._open.get(offset)
            if event is not None and event.done:
                yield Partial(offset, tuple(event.done))
        yield from self._partial.values()


def _joined(spans: Iterator[Span]) -> Iterator[Span]:
    """Neighbours as one, so that the record stays small."""
    held: Span | None = None
    for span in spans:
        if held is not None and held.last + 1 >= span.first:
            held = Span(held.first, max(held.last, span.last))
            continue
        if held is not None:
            yield held
        held = span
    if held is not None:
        yield held
