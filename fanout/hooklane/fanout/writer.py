"""Shares of event partitions as one transaction."""

import time
from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import TopicPartition

from hooklane.fanout.redirect import Share
from hooklane.runtime import transactions
from hooklane.runtime.transactions import CommitResult, Outgoing
from hooklane.schemas.outgoing import Record

__all__ = ("CommitResult", "TransactionWriter")


class TransactionWriter:
    """Writes one transaction after the other; blocking, for a thread of its own."""

    def __init__(
        self,
        connect: Callable[[], transactions.TransactionalProducer],
        timeout_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.transactions = transactions.TransactionWriter(connect, timeout_s, monotonic)
        self.open = self.transactions.open

    def write(
        self, shares: Sequence[Share], records: Iterable[Record], metadata: object
    ) -> CommitResult:
        """One transaction with these records and the shares' offsets."""
        offsets = [
            TopicPartition(share.place.topic, share.place.partition, share.offset)
            for share in shares
        ]
        return self.transactions.write(map(Outgoing, records), offsets, metadata)
