"""Which topics are read beside the backlog, and how their partitions go together."""

from collections.abc import Sequence

from hooklane.runtime.group_client import Assigned
from hooklane.schemas.topics import Delay, TopicNames


class Tiers:
    """The tiers of a service: each has as many partitions as the backlog, and a lane the same."""

    def __init__(self, names: TopicNames, delays: Sequence[Delay], partitions: int) -> None:
        self.backlog = names.backlog
        self.partitions = partitions
        self._by_topic = {names.retry(delay): delay for delay in delays}

    def of_topic(self, topic: str) -> Delay | None:
        """The tier whose topic this is; None for the backlog."""
        return self._by_topic.get(topic)

    def places(self, backlog: Assigned) -> Sequence[tuple[Delay, Assigned]]:
        """The partition of each tier that goes along with one of the backlog."""
        return [
            (delay, Assigned(topic, backlog.partition)) for topic, delay in self._by_topic.items()
        ]

    def along(self, backlog: Assigned) -> Sequence[Assigned]:
        """The same without the delays."""
        return [Assigned(topic, backlog.partition) for topic in self._by_topic]
