"""Reads a member's records in batches, and keeps a few of paused partitions. On the poll thread.

librdkafka throws away what it has fetched of a partition that is paused, and fetches it again once
the partition is resumed. A window that fills up and empties many times a second would so have every
record fetched twice, and wait for it. What is on the shelf when a partition is resumed comes before
anything newer of it; only when the shelf is full is the consumer itself paused.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from confluent_kafka import Consumer, Message

from hooklane.runtime.group_client import Assigned, named

_MOST_BYTES: Final = 8 << 20
"""Of all shelves together."""


class GroupReader:
    """`most`: how many records a batch has, but for those that were kept.
    `keeps`: how many records of a paused partition before the consumer is paused; however many
    partitions there are, their bytes have a bound too.
    Nothing should be kept where ends are told: an end would come before what it stands behind."""

    def __init__(self, consumer: Consumer, most: int = 500, keeps: int = 0) -> None:
        self.consumer = consumer
        self._most = most
        self._keeps = keeps
        self._shelves: dict[Assigned, list[Message]] = {}
        """Of paused partitions that the consumer goes on with, or did until the shelf was full."""
        self._kept_bytes = 0
        self._stopped: set[Assigned] = set()
        self._resumed: list[Message] = []
        self._forgotten: set[Assigned] = set()
        """Since the last batch began."""

    def batch(self, wait_s: float) -> list[Message]:
        """Wait for a first record, then take what is there, events (`error`) among it.

        All that was read goes out, or onto a shelf: nothing is left behind that could come up
        after its partition was given away and back.
        """
        self._forgotten.clear()
        first = self.consumer.poll(0 if self._resumed else wait_s)
        read = [] if first is None else [first, *self.consumer.consume(self._most - 1, 0)]
        # Taken only now: callbacks of the two calls may have taken partitions away.
        batch, self._resumed = self._resumed, []
        if not self._shelves:
            return batch + read
        touched = set()
        for message in read:
            place = _place(message)
            # What was read before its partition went away must not wait on the shelf of the next
            # time that it is given to us; whoever gets it now knows that it is not his.
            if (
                place not in self._shelves
                or place in self._forgotten
                or message.error() is not None
            ):
                batch.append(message)
            else:
                self._shelves[place].append(message)
                self._kept_bytes += len(message)
                touched.add(place)
        self.stop([place for place in touched if self._is_full(place)])
        return batch

    def pause(self, partitions: Sequence[Assigned]) -> None:
        """Nothing more of these comes out until `resume`."""
        again = defaultdict(list)
        for message in self._resumed:
            again[_place(message)].append(message)
        for place in partitions:
            self._shelve(place, again.pop(place, []))
        self._resumed = [one for one in self._resumed if _place(one) in again]
        self.stop([place for place in partitions if self._is_full(place)])

    def stop(self, partitions: Sequence[Assigned]) -> None:
        """Pause the consumer too, until `resume`."""
        running = [place for place in partitions if place not in self._stopped]
        if running:
            for place in running:
                self._shelve(place, [])
            self._stopped.update(running)
            self.consumer.pause(named(running))

    def resume(self, partitions: Sequence[Assigned]) -> None:
        """Go on with these, first with what was kept."""
        for place in partitions:
            self._resumed += self._cleared(place)
        stopped = [place for place in partitions if place in self._stopped]
        if stopped:
            self._stopped.difference_update(stopped)
            self.consumer.resume(named(stopped))

    def forget(self, partitions: Iterable[Assigned]) -> None:
        """They are somebody else's: what was kept of them is not handed out any more."""
        gone = set(partitions)
        self._forgotten |= gone
        self._stopped -= gone
        for place in gone:
            self._cleared(place)
        self._resumed = [one for one in self._resumed if _place(one) not in gone]

    def _shelve(self, place: Assigned, messages: list[Message]) -> None:
        self._shelves.setdefault(place, []).extend(messages)
        self._kept_bytes += sum(map(len, messages))

    def _cleared(self, place: Assigned) -> list[Message]:
        shelf = self._shelves.pop(place, [])
        self._kept_bytes -= sum(map(len, shelf))
        return shelf

    def _is_full(self, place: Assigned) -> bool:
        return len(self._shelves[place]) >= self._keeps or self._kept_bytes >= _MOST_BYTES


def _place(message: Message) -> Assigned:
    return Assigned(message.topic() or "", message.partition() or 0)
