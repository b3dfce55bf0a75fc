"""Transactions of a publisher: what it published in one is there for readers as a whole, or not."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException

from hooklane.producer.errors import (
    ConfigurationError,
    FencedError,
    NoTransactionError,
    TransactionAbortedError,
    TransactionUnknownError,
)

_log = logging.getLogger("hooklane.producer")
_FENCED = frozenset(("_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"))
_TIMED_OUT = frozenset(("_TIMED_OUT", "_MSG_TIMED_OUT"))

_inside: ContextVar[tuple[object, ...]] = ContextVar("hooklane_transactions", default=())
"""The transactions that the calling code is in, of whatever publishers."""


class TransactionalProducer(Protocol):
    """The part of `confluent_kafka.Producer` that this needs."""

    def init_transactions(self, timeout: float) -> None: ...
    def begin_transaction(self) -> None: ...
    def commit_transaction(self, timeout: float) -> None: ...
    def abort_transaction(self, timeout: float) -> None: ...


class Transactions:
    """Begins and ends transactions, and tells what is known of their end. Blocking.

    `renew` makes a new producer in the place of the one before; the first one comes from it too.
    `timeout_s` bounds each step.

    Three ends that are none as planned: the coordinator wants an abort (it is done, and certain);
    another producer has the id (`FencedError`, for good); and whatever else, after which nobody
    knows. What is unknown is settled by the coordinator when a new producer of the same id begins.
    """

    def __init__(
        self,
        renew: Callable[[], TransactionalProducer],
        timeout_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._renew = renew
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._producer: TransactionalProducer | None = None
        self._fenced: FencedError | None = None
        self._doubtful = False

    def heard_failure(self, name: str) -> None:
        """A record failed, by Kafka's own name of the error.

        One that timed out may be on its way still, so that librdkafka wants another epoch after
        the abort; a producer that had got one did not come back from its next transaction.
        """
        if name in _TIMED_OUT:
            self._doubtful = True

    def begin(self) -> None:
        """Raises:
        FencedError, TransactionAbortedError: there is no transaction.
        """
        if self._fenced is not None:
            raise self._fenced
        try:
            if self._producer is None:
                self._open()
            self._now().begin_transaction()
        except KafkaException as error:
            self._producer = None
            cause: KafkaError = error.args[0]
            raise self._fenced_by(cause) or TransactionAbortedError(
                f"the transaction was not begun: {_words(cause)}; check the brokers, and the "
                "rights on the transactional id"
            ) from error

    def commit(self) -> None:
        """Raises:
        TransactionAbortedError, TransactionUnknownError, FencedError: what is known of its end.
        """
        producer = self._now()
        try:
            self._persist(lambda: producer.commit_transaction(self._timeout_s))
        except KafkaException as error:
            cause: KafkaError = error.args[0]
            self.heard_failure(cause.name())
            if cause.txn_requires_abort():
                self.abort()
                raise TransactionAbortedError(
                    f"the transaction was aborted, none of its events is there: {_words(cause)}"
                ) from error
            self._producer = None
            raise self._fenced_by(cause) or TransactionUnknownError(
                f"nobody knows whether the transaction was committed: {_words(cause)}"
            ) from error

    def abort(self) -> None:
        """What was published is not there for readers. If the coordinator cannot be told, it finds
        out: from the next transaction of the same id, or when this one's time is up."""
        producer = self._now()
        try:
            self._persist(lambda: producer.abort_transaction(self._timeout_s))
        except KafkaException as error:
            cause: KafkaError = error.args[0]
            self._doubtful = True
            self._fenced_by(cause)
            _log.warning("a transaction could not be aborted in good form: %s", _words(cause))
        if self._doubtful:
            self._producer = None

    def _now(self) -> TransactionalProducer:
        if self._producer is None:
            raise NoTransactionError("there is no transaction to end")
        return self._producer

    def _open(self) -> None:
        """A new producer ends what one before it under the same id had left open."""
        self._doubtful = False
        producer = self._renew()
        self._persist(lambda: producer.init_transactions(self._timeout_s))
        self._producer = producer

    def _persist(self, call: Callable[[], None]) -> None:
        """Repeat a call that may be repeated: librdkafka goes on where it stopped."""
        deadline = self._monotonic() + self._timeout_s
        while True:
            try:
                return call()
            except KafkaException as error:
                if not error.args[0].retriable() or self._monotonic() >= deadline:
                    raise

    def _fenced_by(self, cause: KafkaError) -> FencedError | None:
        if cause.name() in _FENCED:
            self._fenced = FencedError(
                "another publisher with the same transactional_id has begun, and only the newest "
                f"may publish: give each its own ({_words(cause)})"
            )
        return self._fenced


class Scope:
    """Which code is in the open transaction of a publisher: what else publishes is refused, since
    an abort would take its events away behind its back."""

    def __init__(self) -> None:
        self._open: object | None = None

    @property
    def is_open(self) -> bool:
        return self._open is not None

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling code is in it, with the tasks and `to_thread` calls that it begins."""
        opened = object()
        before = _inside.get()
        self._open = opened
        _inside.set((*before, opened))
        try:
            yield
        finally:
            self._open = None
            _inside.set(before)

    def check_outside(self) -> None:
        """Raises:
        NoTransactionError: the calling code is in one, and would wait for itself.
        """
        if self._open is not None and self._open in _inside.get():
            raise NoTransactionError("a transaction is open here already: end it first")

    def check_inside(self) -> None:
        """Raises:
        NoTransactionError: the calling code is in no open transaction of this publisher.
        """
        if self._open is None or self._open not in _inside.get():
            raise NoTransactionError(
                "a publisher with a transactional_id publishes in `with publisher.transaction()` "
                "only, and in threads of that block only what contextvars carry there"
            )


def scope_of(scope: Scope | None) -> Scope:
    """Raises:
    ConfigurationError: the publisher has no transactions.
    """
    if scope is None:
        raise ConfigurationError("transactions need a transactional_id: give the publisher one")
    return scope


def _words(cause: KafkaError) -> str:
    return f"{cause.str().rstrip('.')} ({cause.name()})"
