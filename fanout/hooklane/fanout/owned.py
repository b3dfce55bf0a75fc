"""The event partitions that this process works on, by both of their names."""

from collections.abc import Iterable, Iterator, Mapping

from hooklane.fanout.delivery import Place
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.partition import EventPartition
from hooklane.runtime.group_client import Assigned


class OwnedPartitions:
    """Restored and not yet given back. The group knows them by topic name, lanes by topic id."""

    def __init__(self) -> None:
        self._by_name: dict[Assigned, EventPartition] = {}
        self._by_place: dict[Place, EventPartition] = {}
        self._lanes: dict[Place, LaneTable] = {}

    def add(self, partition: EventPartition) -> None:
        self._by_name[_name(partition.place)] = partition
        self._by_place[partition.place] = partition
        self._lanes[partition.place] = partition.lanes

    def remove(self, name: Assigned) -> EventPartition | None:
        partition = self._by_name.pop(name, None)
        if partition is not None:
            del self._by_place[partition.place]
            del self._lanes[partition.place]
        return partition

    def named(self, name: Assigned) -> EventPartition | None:
        return self._by_name.get(name)

    def at(self, place: Place) -> EventPartition | None:
        return self._by_place.get(place)

    def holds(self, partition: EventPartition) -> bool:
        """Whether this very assignment of it is still ours."""
        return self._by_place.get(partition.place) is partition

    def of(self, names: Iterable[Assigned]) -> list[EventPartition]:
        return [found for one in names if (found := self._by_name.get(one)) is not None]

    @property
    def lanes(self) -> Mapping[Place, LaneTable]:
        return self._lanes

    def __iter__(self) -> Iterator[EventPartition]:
        return iter(list(self._by_place.values()))

    def __len__(self) -> int:
        return len(self._by_place)


def _name(place: Place) -> Assigned:
    return Assigned(place.topic, place.partition)
