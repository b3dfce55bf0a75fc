"""A test event on its way: a task in the backlog for one subscription alone.

Not a record in an event topic, which others read too; and not a request by the console, which has
neither the secrets nor the address guard. The retrier delivers it as it delivers everything:
signed, limited, judged, recorded among the attempts, and tried again by the subscription's
schedule. Its lane is its own, so nothing waits for it.
"""

from typing import Final

from hooklane.ops.audit_action import Action
from hooklane.ops.audit_write import audit_record
from hooklane.ops.event_places import EventPlaces
from hooklane.ops.lanes_act import RecordWriter
from hooklane.ops.log_reader import open_reader
from hooklane.ops.redrive_plan import new_webhook_id
from hooklane.ops.run_desk import RECORD_EXTRA, RunDesk, now_ms
from hooklane.ops.subscriptions_topic import ConfigTopic
from hooklane.runtime.errors import UsageError
from hooklane.runtime.kafka_settings import access_from
from hooklane.runtime.settings import Settings
from hooklane.schemas.book import Entry
from hooklane.schemas.codec import TASKS
from hooklane.schemas.event import Event
from hooklane.schemas.filters_glob import compile_glob
from hooklane.schemas.lane import LaneNamer, lane_partition
from hooklane.schemas.outgoing import Record
from hooklane.schemas.records import DeliveryTask
from hooklane.schemas.records_operator import AuditState
from hooklane.schemas.subscription_parts import State
from hooklane.schemas.topics import task_key

TEST_TYPE: Final = "hooklane.test"
_SOURCE: Final = "/hooklane/console"


def usual_type(entry: Entry) -> str:
    """The first type that the subscription names, since its receiver knows that one. Pure."""
    types = entry.subscription.match.types or ()
    return next((one for one in types if compile_glob(one).literal), TEST_TYPE)


def task_for_test(
    entry: Entry, group: str, topic: tuple[str, str], event: tuple[str, bytes], run: str, at_ms: int
) -> DeliveryTask:
    """The task. `topic`: name and id of one that the subscription matches; `event`: type and data.
    Pure."""
    name, topic_id = topic
    type_, data = event
    namer = LaneNamer(group, entry.id, entry.uid, topic_id, 0, run=run)
    attributes = {"specversion": "1.0", "id": event_id(run), "source": _SOURCE, "type": type_}
    return DeliveryTask(
        lane=namer.one_shot(None, 0),
        sequence=0,
        # Of an id that no event has: receivers drop what they have seen.
        webhook_id=new_webhook_id(run, namer.webhook_id(0)),
        subscription=entry.id,
        uid=entry.uid,
        run=run,
        one_shot=True,
        group=group,
        event=Event(name, topic_id, 0, 0, at_ms, None, attributes, "application/json", data),
        config_offset=entry.offset,
        attempts=0,
        due_ms=at_ms,
        halted=False,
        redirected_ms=at_ms,
    )


def event_id(run: str) -> str:
    return f"test-{run}"


class EventTestDesk:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = settings.topic_names

    def send(self, subscription: str, type_: str, data: bytes, action: Action) -> str:
        """Write it, behind the audit's record; gives the event's id.

        Raises:
            UsageError: the subscription cannot take one.
            BrokerError: Kafka did not acknowledge it.
        """
        entry = self._entry(subscription)
        with open_reader(self._settings) as reader:
            runs = RunDesk(reader, self._names)
            count, largest = runs.check_layout(), reader.max_bytes(self._names.backlog)
            runs.check_audit()
            topic = self._topic(EventPlaces(reader, self._settings), entry)
        at_ms, group = now_ms(), self._settings.fanout.group_id
        task = task_for_test(entry, group, topic, (type_, data), action.id, at_ms)
        key, value = task_key(task.lane, task.sequence), TASKS.encode(task)
        if len(key) + len(value) + RECORD_EXTRA > largest:
            raise UsageError("The data is too large for the backlog: send less.")
        detail = f"{type_} {event_id(action.id)}"
        audit = action.record(AuditState.DONE, at_ms, count=1, detail=detail)
        writer = RecordWriter(access_from(self._settings))
        writer.write([audit_record(audit, self._names)])
        partition = lane_partition(task.lane, count)
        writer.write([Record(self._names.backlog, partition, key, value)])
        return event_id(action.id)

    def _entry(self, subscription: str) -> Entry:
        entry = ConfigTopic(self._settings).read().entry(subscription)
        if entry is None:
            raise UsageError(f"There is no subscription {subscription} any more.")
        if entry.disabled is not None or entry.subscription.state is not State.ACTIVE:
            raise UsageError(
                f"{subscription} is not active: `hooklane subscriptions resume {subscription}` "
                "first."
            )
        return entry

    def _topic(self, places: EventPlaces, entry: Entry) -> tuple[str, str]:
        wanted = [compile_glob(one) for one in entry.subscription.match.topics or ("*",)]
        for topic in places.topics():
            if any(glob.takes(topic) for glob in wanted):
                return topic, places.topic_id(topic)
        raise UsageError(
            "No event topic is known here that the subscription takes: set HOOKLANE_FANOUT__TOPICS "
            "as it is for the fan-out."
        )
