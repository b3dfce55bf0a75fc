"""Whether all is at rest, and where the services' log lines go."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from hooklane.schemas.codec import TASKS
from tests.simulation.cluster import Cluster
from tests.simulation.group import Group
from tests.simulation.services import EVENTS, NAMES, Around


def unrest(cluster: Cluster, fanouts: Group, processes: Mapping[str, Around | None]) -> list[str]:
    """What is not done yet: events, tasks, lane records, processes that are down."""
    said = []
    if None in processes.values():
        said.append("a process is down")
    for log in cluster.of_topic(EVENTS):
        committed = fanouts.offsets.get((log.topic, log.partition), log.first)
        if log.read(committed, 1)[0]:
            said.append(f"events from {committed} of partition {log.partition}")
    for log in cluster.of_topic(NAMES.backlog):
        for key, value in log.in_force().items():
            said.append(f"task {key.decode()} of {TASKS.decode(value).subscription}")
    for log in cluster.of_topic(NAMES.lanes):
        said += [f"lane record {key.decode()}" for key in log.in_force()]
    for name, around in processes.items():
        if around is not None and around.blocked_lanes():
            said.append(f"{name} has blocked lanes")
    return said


@contextmanager
def logging_to(say: Callable[[str, dict[str, Any]], None]) -> Iterator[None]:
    """What the services log becomes part of the trace."""
    before = structlog.get_config()

    def keep(_logger: Any, _method: str, event: Any) -> Any:
        fields = dict(event)
        say(str(fields.pop("event")), fields)
        raise structlog.DropEvent

    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
