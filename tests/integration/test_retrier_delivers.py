"""The retrier as users run it: what failed comes again, in order, through the tiers."""

import json

import pytest

from tests.support.site import Site
from tests.support.webhook_sink import Answer, Hit, WebhookSink

TIERS = '["1s", "2s", "4s"]'


@pytest.fixture
def spool(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("spool"))


def numbers(hits: list[Hit]) -> list[int]:
    return [json.loads(hit.body)["n"] for hit in hits]


def test_what_failed_comes_again_and_its_lane_behind_it(
    sink: WebhookSink, fast: Site, spool: str
) -> None:
    """Rules 8 and 9: the failed delivery first, then the lane's later events; then live again."""
    failing = True
    sink.answer = lambda hit: Answer(500 if failing and hit.key == "poisoned" else 200)
    fast.subscribe("a", sink.url("a"))
    with fast.fanout() as fanout, fast.retrier(RETRIER__SPOOL_DIR=spool) as retrier:
        fanout.wait_ready()
        retrier.wait_ready()
        fast.publish_numbers(["poisoned", "well", "poisoned", "poisoned"])
        sink.wait_for(lambda: len(sink.hits) >= 3)
        failing = False
        sink.wait_for(lambda: len(sink.hits) >= 6)
        fanout.wait_for(lambda: fanout.metric("hooklane_lanes_blocked") == 0)
        fast.publish_numbers(["poisoned"], first=4)
        sink.wait_for(lambda: 4 in numbers(sink.hits))
        assert fanout.terminate() == 0
        assert retrier.terminate() == 0
    poisoned = [hit for hit in sink.hits if hit.key == "poisoned"]
    arrived = numbers(poisoned)
    assert arrived[-4:] == [0, 2, 3, 4]
    assert set(arrived[:-4]) == {0}
    attempts = [int(hit.headers["hooklane-attempt"]) for hit in poisoned]
    assert attempts == [*range(1, len(poisoned) - 2), 1, 1, 1]
    assert len({hit.headers["webhook-id"] for hit in poisoned}) == 4
    assert fast.tasks() == {}
    assert fast.lane_records("blocked") == {}
    assert fast.lane_records("released") == {}
