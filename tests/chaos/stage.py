"""An installation under a steady flow of events, to which a test does one thing."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.chaos.flow import Flow
from tests.chaos.receivers import (
    BAD_ANSWERS,
    TIERS,
    UNORDERED,
    Moods,
    subscribe_all,
    wanted,
)
from tests.kafka.broker import Kafka
from tests.support.order import Verdict, judge_arrivals
from tests.support.site import Site, make_site
from tests.support.webhook_sink import Answer, WebhookSink

_SETTLE_S = 150.0
_KEYS = 40


@dataclass(slots=True)
class Stage:
    """`flow` publishes on; `moods` remembers what came. Services are for the test to start."""

    site: Site
    sink: WebhookSink
    moods: Moods
    flow: Flow
    names: Collection[str]

    def settle(self, seconds: float = 60.0) -> int:
        """Until everything that was published by now has arrived; gives how much.

        The receivers are well meanwhile, so that what waits has no reason to go on waiting.
        """
        events, self.moods.well = self.flow.published, True
        until(lambda: self.flow.acked >= events, lambda: f"{self.flow.acked} of {events}", seconds)
        until(
            lambda: self.moods.have_all(events),
            lambda: f"lacking {self.moods.lacking(events)}",
            seconds,
        )
        self.moods.well = False
        return events

    def finish(self, unordered: Collection[str] = UNORDERED) -> Verdict:
        """No more events, well receivers: all has to arrive, and the backlog to be empty."""
        self.moods.well = True
        events = self.flow.stop()
        until(lambda: self.moods.have_all(events), lambda: f"lacking {self.moods.lacking(events)}")
        until(lambda: not self.site.tasks(), lambda: f"in the backlog: {len(self.site.tasks())}")
        verdict = judge_arrivals(self.moods.arrivals, wanted(events, self.names), unordered)
        assert verdict.in_order_and_complete, verdict
        return verdict


@contextmanager
def stage(
    kafka: Kafka,
    prefix: str,
    names: Collection[str] = ("steady", "moody"),
    publish_by: Kafka | None = None,
    per_s: float = 20.0,
    bad: Sequence[Answer] = BAD_ANSWERS,
) -> Iterator[Stage]:
    """`kafka`: what the services are told; `publish_by`: where events come in, if elsewhere."""
    moods = Moods(1, names, bad)
    with WebhookSink(moods, keeps=False) as sink:
        site = make_site(kafka, prefix, tiers=TIERS)
        subscribe_all(site, sink, names)
        with Flow(publish_by or kafka, site.events, _KEYS, per_s) as flow:
            yield Stage(site, sink, moods, flow, names)


def until(
    reached: Callable[[], bool],
    complaint: Callable[[], str] = lambda: "not as wanted",
    seconds: float = _SETTLE_S,
) -> None:
    """Wait for it; fails with the complaint after so many seconds."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: {complaint()}"
        time.sleep(0.05)
