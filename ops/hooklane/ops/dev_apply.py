"""Brings the config topic to what the files want: what `subscriptions apply` and `delete` do."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from hooklane.ops.subscriptions_plan import Action, Step, plan_apply
from hooklane.ops.subscriptions_topic import ConfigTopic, Record
from hooklane.ops.ulid import new_ulid
from hooklane.runtime.errors import UsageError
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.book_status import status_key
from hooklane.schemas.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done with a subscription, in words. `now`: as it is in force, None if deleted."""

    id: str
    said: str
    now: Subscription | None


class Applier:
    """Remembers what it applied: nothing else is ever deleted. Every method blocks."""

    def __init__(self, topic: ConfigTopic) -> None:
        self._topic = topic
        self._applied: set[str] = set()

    def others(self, wanted: Collection[str]) -> list[str]:
        """Subscriptions that are there and in no file.

        Raises:
            BrokerError: Kafka does not answer.
        """
        return sorted(entry.id for entry in self._topic.read() if entry.id not in wanted)

    def bring(
        self, wanted: Mapping[str, Subscription], saved: Collection[str]
    ) -> tuple[list[Applied], list[str]]:
        """What was done, and what could not be, in words. `saved`: ids of files just written.

        Raises:
            BrokerError: Kafka does not answer, or did not acknowledge: to be tried again.
        """
        book = self._topic.read()
        done: list[Applied] = []
        refused: list[str] = []
        records: list[Record] = []
        for one in wanted.values():
            try:
                step = self._step(one, book)
            except UsageError as error:
                refused.append(str(error))
                continue
            word = _word(step, saved)
            if word is not None:
                records.append(step.wanted.record())
                done.append(Applied(one.id, word, step.wanted))
        deleted = sorted(self._applied - wanted.keys())
        for name in deleted:
            records += [(name.encode(), None), (status_key(name), None)]
            done.append(Applied(name, "deleted; what waited for it is discarded", None))
        if records:
            self._topic.write(records)
        self._applied = (self._applied - set(deleted)) | wanted.keys()
        return done, refused

    def _step(self, wanted: Subscription, book: SubscriptionBook) -> Step:
        now = datetime.now(UTC)
        # Records have times of whole milliseconds.
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        [step] = plan_apply([wanted], book, now, new_ulid)
        return step


def _word(step: Step, saved: Collection[str]) -> str | None:
    """What to say of a step that needs a record; None if it needs none."""
    if step.action is not Action.UNCHANGED:
        return step.action.value
    disabled = step.before is not None and step.before.disabled is not None
    if disabled and step.wanted.id in saved:
        # A newer document voids what a 410 said; to save the file again is to ask for that.
        return "active again, since its file was saved"
    return None
