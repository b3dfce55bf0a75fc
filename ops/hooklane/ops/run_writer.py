"""What a run writes: transactions, of which only one process at a time can write any.

The tasks, and what says that they were written, become visible together or not at all. A second
process with the same name fences the first, whose open transaction ends then: so what is read after
`open` is all that an earlier one has done, and nothing of it can come later.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from confluent_kafka import KafkaException, TopicPartition

from hooklane.runtime import kafka
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_clients import open_producer
from hooklane.runtime.transactions import CommitResult, Outgoing, TransactionWriter
from hooklane.schemas.outgoing import Record

_PATIENCE_S: Final = 30.0
_AGAIN_S: Final = 0.2


class _Silent:
    """The words of transactions are for services' logs; a command says in a sentence what went
    wrong."""

    def info(self, event: str, **facts: object) -> None:
        pass

    warning = info


class RunWriter:
    """`name`: what the transactional id ends with, `<prefix>-<kind>-<name>`."""

    def __init__(self, access: KafkaAccess, prefix: str, kind: str, name: str) -> None:
        config = kafka.transactional_producer(replace(access, instance_id=name), prefix, kind)
        timeout_s = int(config["transaction.timeout.ms"]) / 1000
        self._servers = access.bootstrap_servers
        self._id = config["transactional.id"]
        self._writer = TransactionWriter(partial(open_producer, config), timeout_s, log=_Silent())

    def open(self) -> None:
        """Fence an earlier process of this name, and wait until its transaction has ended.

        Raises:
            BrokerError: the transaction coordinator does not answer or refuses.
        """
        try:
            self._writer.open()
        except KafkaException as error:
            raise BrokerError(
                f"Kafka at {self._servers} lets no transaction begin "
                f"({error.args[0].str().rstrip('.')}): check the brokers, and the rights on the "
                f"transactional id {self._id}."
            ) from error

    def write(
        self,
        records: Sequence[Record],
        offsets: Sequence[TopicPartition] = (),
        metadata: object = None,
    ) -> None:
        """All of these, or none; what Kafka has undone is tried again.

        Raises:
            BrokerError: they are not there, or nobody can say.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            result = self._writer.write(map(Outgoing, records), list(offsets), metadata)
            match result:
                case CommitResult.COMMITTED:
                    return
                case CommitResult.ABORTED if time.monotonic() < deadline:
                    time.sleep(_AGAIN_S)
                case CommitResult.ABORTED:
                    raise BrokerError(
                        f"Kafka at {self._servers} undoes what is written, for "
                        f"{_PATIENCE_S:.0f} s by now: check the brokers, the rights of the user in "
                        "HOOKLANE_KAFKA__PROPERTIES, and `hooklane topics check`; then do it "
                        "again, nothing is doubled."
                    )
                case CommitResult.UNKNOWN:
                    raise BrokerError(
                        "Whether the last records were written is not known: another process of "
                        f"this kind has begun, or Kafka at {self._servers} did not answer; do it "
                        "again, nothing is doubled."
                    )
