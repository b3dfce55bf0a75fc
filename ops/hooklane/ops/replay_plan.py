"""What a replay delivers: past events, judged one by one by the document of today. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Self, assert_never

from hooklane.fanout.match import Matcher, Undecided
from hooklane.ops.event_reading import Read
from hooklane.ops.log_selection import Window, typed_keys
from hooklane.ops.redrive_plan import new_webhook_id
from hooklane.ops.runs import window_of
from hooklane.runtime.errors import HooklaneError
from hooklane.schemas.book import Entry
from hooklane.schemas.decode import decode
from hooklane.schemas.event import Event, SourceRecord, Unreadable
from hooklane.schemas.lane import LaneNamer
from hooklane.schemas.records import DeliveryTask
from hooklane.schemas.subscription_parts import Ordering
from hooklane.schemas.tenants import NO_TENANTS, TenantRules


class Passed(StrEnum):
    """Why an event is not delivered again; the word as it is printed."""

    OTHER = "of_another_time_or_key"
    UNMATCHED = "not_matched"
    BEFORE = "before_the_subscription"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large_for_the_backlog"


REMEDIES: Final = {
    Passed.BEFORE: "older than its effective_from; --before-subscription takes them too",
    Passed.UNREADABLE: "they are no events, or their data is refused",
    Passed.TOO_LARGE: "raise max.message.bytes of the backlog",
}


@dataclass(frozen=True, slots=True)
class ReplaySelection:
    """Which events are meant, and how they are delivered."""

    subscription: str
    uid: str
    topic: str
    topic_id: str
    window: Window
    keys: frozenset[bytes] | None
    before_subscription: bool
    new_ids: bool

    @classmethod
    def of(cls, selection: Mapping[str, str]) -> Self:
        """As the audit has it of a run."""
        return cls(
            subscription=selection["subscription"],
            uid=selection["uid"],
            topic=selection["topic"],
            topic_id=selection["topic_id"],
            window=window_of(selection),
            keys=typed_keys(selection.get("key")),
            before_subscription="before_subscription" in selection,
            new_ids="new_ids" in selection,
        )


@dataclass(slots=True)
class ReplayCount:
    """How many events were looked at, and what came of them."""

    events: int = 0
    matched: int = 0
    passed: Counter[Passed] = field(default_factory=Counter)

    def add(self, judged: DeliveryTask | Passed) -> None:
        self.events += 1
        if isinstance(judged, Passed):
            self.passed[judged] += 1
        else:
            self.matched += 1


class Replay:
    """Decides for one run. `group`: the fan-out's, whose lanes these events had; `read` reads its
    records as the fan-out does."""

    def __init__(
        self,
        run: str,
        entry: Entry,
        group: str,
        selection: ReplaySelection,
        tenants: TenantRules = NO_TENANTS,
        read: Read = decode,
    ) -> None:
        self._run = run
        self._read = read
        self._entry = entry
        self._group = group
        self._selection = selection
        self._matcher = Matcher(tenants=tenants)
        self._matcher.put(entry)
        at_any_time = entry.subscription.model_copy(update={"effective_from": None})
        self._at_any_time = Matcher(tenants=tenants)
        self._at_any_time.put(replace(entry, subscription=at_any_time))
        self._namers: dict[int, LaneNamer] = {}

    def judge(self, record: SourceRecord, at_ms: int) -> DeliveryTask | Passed:
        """The task of an event, due at once at `at_ms`; or why it has none."""
        selection = self._selection
        if not selection.window.holds(record.timestamp_ms) or not (
            selection.keys is None or record.key in selection.keys
        ):
            return Passed.OTHER
        decoded = self._read(record)
        match decoded:
            case Unreadable():
                return Passed.UNREADABLE
            case Event():
                return self._matched(decoded, at_ms)
            case _:
                assert_never(decoded)

    def _matched(self, event: Event, at_ms: int) -> DeliveryTask | Passed:
        found = self._at_any_time.match(event)
        if not found:
            return Passed.UNMATCHED
        if isinstance(found[0], Undecided):
            raise HooklaneError(
                f"Whether {self._entry.id} wants the event at offset {event.offset} of partition "
                f"{event.partition} cannot be told: {found[0].reason}; mend the plugin, then give "
                "the same command again."
            )
        if not self._selection.before_subscription and not self._matcher.match(event):
            return Passed.BEFORE
        return self._task(event, at_ms)

    def _task(self, event: Event, at_ms: int) -> DeliveryTask:
        namer = self._namer(event.partition)
        one_shot = event.key is None or self._entry.subscription.ordering is Ordering.NONE
        lane = namer.one_shot(event.key, event.offset) if one_shot else namer.lane(event.key)
        webhook_id = namer.webhook_id(event.offset)
        if self._selection.new_ids:
            webhook_id = new_webhook_id(self._run, webhook_id)
        return DeliveryTask(
            lane=lane,
            sequence=event.offset,
            webhook_id=webhook_id,
            subscription=self._entry.id,
            uid=self._entry.uid,
            run=self._run,
            one_shot=one_shot,
            group=self._group,
            event=event,
            config_offset=self._entry.offset,
            attempts=0,
            due_ms=at_ms,
            halted=False,
            redirected_ms=at_ms,
        )

    def _namer(self, partition: int) -> LaneNamer:
        found = self._namers.get(partition)
        if found is None:
            place = (self._selection.topic_id, partition)
            found = LaneNamer(self._group, self._entry.id, self._entry.uid, *place, run=self._run)
            self._namers[partition] = found
        return found
