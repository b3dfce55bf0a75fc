"""The fan-out as users run it: a record of a plain producer becomes a signed webhook."""

import hashlib
import hmac
import json
import re
import time

import pytest
from standardwebhooks.webhooks import Webhook

from hooklane.schemas.records import AttemptOutcome
from hooklane.schemas.version import __version__
from tests.kafka.records import Outgoing
from tests.support.operator_commands import Operator
from tests.support.site import SECRET, Site
from tests.support.webhook_sink import Answer, Hit, WebhookSink


def test_one_record_two_subscribers_two_signatures(site: Site, sink: WebhookSink) -> None:
    """Each gets it signed in its own scheme, with the headers of the contract."""
    site.subscribe("standard", sink.url("standard"), signing={"secrets": [SECRET]})
    site.subscribe("github", sink.url("github"), signing={"scheme": "github", "secrets": ["s3cr"]})
    with site.fanout() as fanout:
        fanout.wait_ready()
        body = b'{"order": 1, "gross": 12.50}'
        [(partition, offset)] = site.publish([Outgoing(b"customer-7", body)])
        sink.wait_for(lambda: len(sink.hits) == 2)
    [standard], [github] = sink.of("standard"), sink.of("github")
    assert Webhook(SECRET).verify(standard.body, standard.headers) == json.loads(body)
    expected = "sha256=" + hmac.new(b"s3cr", github.body, hashlib.sha256).hexdigest()
    assert github.headers["x-hub-signature-256"] == expected
    assert standard.body == body
    headers = standard.headers
    assert re.fullmatch(r"msg_[0-9a-f]{32}", headers["webhook-id"])
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 30
    assert {name: headers[name] for name in headers if name.startswith(("ce-", "hooklane-"))} == {
        "ce-specversion": "1.0",
        "ce-id": f"{site.events}-{partition}-{offset}",
        "ce-source": f"kafka://{site.events}",
        "ce-type": site.events,
        "ce-time": headers["ce-time"],
        "ce-partitionkey": "customer-7",
        "hooklane-lane": headers["hooklane-lane"],
        "hooklane-sequence": str(offset),
        "hooklane-attempt": "1",
    }
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == f"Hooklane/{__version__}"


def test_each_attempt_leaves_a_record(site: Site, sink: WebhookSink) -> None:
    """The attempts topic says what was tried, when, where and how it ended."""
    site.subscribe("a", sink.url("a"))
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(["k"])
        sink.wait_for(lambda: len(sink.hits) == 1)
        assert fanout.terminate() == 0
    [attempt] = site.attempts()
    assert (attempt.subscription, attempt.key, attempt.attempt) == ("a", b"k", 1)
    assert (attempt.outcome, attempt.status) == (AttemptOutcome.DELIVERED, 200)
    assert attempt.address == f"127.0.0.1:{sink.port}"
    assert sink.hits[0].headers["hooklane-lane"] == attempt.lane


def test_a_stop_and_a_start_repeat_nothing(site: Site, sink: WebhookSink) -> None:
    """Rule 4 and 6: what is settled is committed before the group is left."""
    site.subscribe("a", sink.url("a"))
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(["x", "y", "z"] * 20)
        sink.wait_for(lambda: len(sink.hits) == 60)
        assert fanout.terminate() == 0
        fanout.start()
        fanout.wait_ready()
        site.publish_numbers(["x"], first=60)
        sink.wait_for(lambda: len(sink.hits) == 61)
    assert sorted(json.loads(hit.body)["n"] for hit in sink.hits) == list(range(61))


def test_a_subscription_is_followed_live(site: Site, sink: WebhookSink) -> None:
    """Added, narrowed and deleted while the service runs, without a restart."""
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.subscribe("a", sink.url("a"))
        fanout.wait_for(lambda: fanout.metric("hooklane_subscriptions") == 1)
        site.publish_numbers(["k"], first=0)
        sink.wait_for(lambda: len(sink.hits) == 1)
        site.subscribe("b", sink.url("b"))
        fanout.wait_for(lambda: fanout.metric("hooklane_subscriptions") == 2)
        site.configure(b"a", None)
        fanout.wait_for(lambda: fanout.metric("hooklane_subscriptions") == 1)
        site.publish_numbers(["k"], first=1)
        sink.wait_for(lambda: len(sink.hits) == 2)
    assert [hit.path for hit in sink.hits] == ["/a", "/b"]


def test_a_hanging_subscriber_delays_nobody(site: Site, sink: WebhookSink) -> None:
    """Promise of isolation: all slots of one subscription hang, the other gets its events."""
    sink.answer = lambda hit: Answer(after_s=20.0 if hit.path == "/hangs" else 0.0)
    limits = {"max_in_flight": 4, "timeout": "15s"}
    site.subscribe("hangs", sink.url("hangs"), delivery=limits)
    site.subscribe("well", sink.url("well"))
    keys = [f"k{number}" for number in range(200)]
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(keys)
        sink.wait_for(lambda: len(sink.of("well")) == 200, 10.0)
        assert len(sink.of("hangs")) == 4
        fanout.wait_for(lambda: fanout.metric("hooklane_redirects_total") == 196, 10.0)
        fanout.kill()
    assert len(site.tasks()) == 196


def test_a_tenant_sees_its_topics_and_shares_its_slots(
    site: Site,
    sink: WebhookSink,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Promise of isolation, by tenant: one subscription of acme hangs and takes no more than acme's
    slots, globex gets everything at once, and initech, whose topics are others, nothing; commands
    find each by its tenant, and say why."""
    topics = {"acme": [site.events], "globex": [f"{site.prefix}*"], "*": ["others.*"]}
    told = {
        "TENANTS__TOPICS": json.dumps(topics),
        "TENANTS__QUOTAS": '{"acme": {"max_in_flight": 4}}',
    }
    sink.answer = lambda hit: Answer(after_s=20.0 if hit.path == "/acme-hangs" else 0.0)
    for name in ("acme-hangs", "acme-well", "globex-all", "initech-all"):
        site.subscribe(name, sink.url(name), tenant=name.split("-")[0])
    keys = [f"k{number}" for number in range(100)]
    with site.fanout(**told) as fanout:
        fanout.wait_ready()
        site.publish_numbers(keys)
        sink.wait_for(lambda: len(sink.of("globex-all")) == 100, 10.0)

        def at_hand() -> int:
            return len(sink.of("acme-hangs")) + len(sink.of("acme-well"))

        redirects = "hooklane_redirects_total"
        fanout.wait_for(lambda: fanout.metric(redirects) + at_hand() == 200, 10.0)
        # Its slots were taken in turns until all of them hung.
        assert len(sink.of("acme-hangs")) == 4
        operator = Operator(site, monkeypatch, capsys)
        for name, value in told.items():
            monkeypatch.setenv(f"HOOKLANE_{name}", value)
        lanes = operator.json("lanes", "list", "--tenant", "acme")
        assert len(lanes) == 200 - at_hand()
        assert operator.json("lanes", "list", "--tenant", "globex") == []
        assert len(operator.json("attempts", "--tenant", "globex")) == 100
        [row, *_] = operator.json("trace", "--key", "k7", "--tenant", "initech")
        [way] = row["subscriptions"]
        assert way["fate"] == "not-matched"
        assert way["why"].startswith("tenant: initech may see others.*")
        fanout.kill()
    assert sink.of("initech-all") == []


def is_poisoned(hit: Hit) -> bool:
    return hit.key == "poisoned"


def test_a_failed_delivery_waits_in_the_backlog_and_its_lane_with_it(
    site: Site, sink: WebhookSink
) -> None:
    """Rule 3: one attempt, then the lane's events follow in order; the other keys go on."""
    sink.answer = lambda hit: Answer(500 if is_poisoned(hit) else 200)
    site.subscribe("a", sink.url("a"))
    with site.fanout() as fanout:
        fanout.wait_ready()
        first = site.publish_numbers(["poisoned"])
        fanout.wait_for(lambda: fanout.metric("hooklane_lanes_blocked") == 1)
        rest = site.publish_numbers(["poisoned", "well", "poisoned", "well"], first=1)
        sink.wait_for(lambda: sum(not is_poisoned(hit) for hit in sink.hits) == 2)
        fanout.wait_for(lambda: fanout.metric("hooklane_redirects_total") == 3)
        assert fanout.terminate() == 0
    assert sum(map(is_poisoned, sink.hits)) == 1
    tasks = sorted(site.tasks().values(), key=lambda task: task.sequence)
    offsets = [first[0][1], rest[0][1], rest[2][1]]
    assert [task.sequence for task in tasks] == offsets
    assert [task.attempts for task in tasks] == [1, 0, 0]
    assert len({task.lane for task in tasks}) == 1
    [blocked] = site.lane_records("blocked").values()
    assert blocked.sequence == offsets[-1]
    [ticket] = site.tickets("5s")
    assert (ticket.sequence, ticket.attempts, ticket.halted) == (offsets[0], 1, False)
    assert ticket.due_ms == tasks[0].due_ms


def test_a_new_owner_keeps_the_lane_blocked(site: Site, sink: WebhookSink) -> None:
    """Rule 5: after SIGKILL the lanes are restored before the first event."""
    sink.answer = lambda hit: Answer(500)
    site.subscribe("a", sink.url("a"))
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(["k"])
        fanout.wait_for(lambda: fanout.metric("hooklane_lanes_blocked") == 1)
        fanout.wait_for(lambda: len(site.tasks()) == 1)
        fanout.kill()
        site.publish_numbers(["k"], first=1)
        fanout.start()
        fanout.wait_for(lambda: fanout.metric("hooklane_redirects_total") == 1)
        fanout.wait_for(lambda: len(site.tasks()) == 2)
    assert len(sink.hits) == 1
