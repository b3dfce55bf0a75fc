"""`hooklane outbox` between a real PostgreSQL and a real Kafka, as a role with the least rights."""

import json
import signal
from random import Random

import pytest

from hooklane.ops.outbox_layout import layout_from
from hooklane.producer.outbox.database import open_session
from hooklane.producer.outbox.errors import OutboxError
from hooklane.runtime.settings_outbox import AfterPublishing, BadRows, OutboxSettings
from tests.kafka.broker import Kafka
from tests.kafka.records import create_topic, set_topic
from tests.support.outbox import PASSWORD, Outbox, Writers, wait_until
from tests.support.postgres import Postgres
from tests.support.processes import ServiceProcess, environment, hooklane


def outbox_of(postgres: Postgres, kafka: Kafka, prefix: str, **settings: object) -> Outbox:
    """Its events go to `<prefix>.orders`."""
    settings = {"topic": f"{prefix}.{{aggregatetype}}", **settings}
    return Outbox(postgres, kafka, prefix, OutboxSettings.model_validate(settings))


def test_a_row_becomes_an_event_at_once(postgres: Postgres, kafka: Kafka, prefix: str) -> None:
    """A notification is enough, long before the relay would look; the record is a CloudEvent with
    the row's id, key, time and headers; the row is deleted; and the password is nowhere."""
    topic = create_topic(kafka, f"{prefix}.orders")
    columns = {"time": "at", "headers": "more"}
    outbox = outbox_of(postgres, kafka, prefix, columns=columns)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with outbox.relay(OUTBOX__LOOK_EVERY="60s") as relay:
        relay.wait_ready()
        relay.wait_for(lambda: relay.metric("hooklane_outbox_buckets") == 4)
        outbox.write("warm")
        relay.wait_for(lambda: outbox.left() == 0)
        outbox.run(
            "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, more) VALUES "
            "('5e0a1ff1-6d92-4fd1-8a5b-32f3a9a7f6a6', 'orders', 'c-42', 'order.paid', "
            """'{"amount": 12.50}', %s)""",
            (json.dumps({"traceparent": trace}),),
        )
        relay.wait_for(lambda: outbox.left() == 0, 10.0)
        _, one = outbox.published(topic)
        assert relay.metric("hooklane_outbox_published_total") == 2
        assert relay.metric("hooklane_outbox_latency_seconds_count") == 2
        assert relay.terminate() == 0
        assert PASSWORD not in relay.log()
    headers = dict(one.headers)
    assert (one.key, one.value) == (b"c-42", b'{"amount": 12.50}')
    assert headers["ce_id"] == b"5e0a1ff1-6d92-4fd1-8a5b-32f3a9a7f6a6"
    assert (headers["ce_type"], headers["ce_source"]) == (b"order.paid", b"/orders")
    assert (headers["content-type"], headers["traceparent"]) == (
        b"application/json",
        trace.encode(),
    )
    assert b"T" in (headers["ce_time"] or b"")


def test_relays_that_are_killed_frozen_and_cut_off(
    postgres: Postgres, kafka: Kafka, prefix: str
) -> None:
    """Two relays under many writers, of which one is killed, the other frozen until its buckets are
    another's, and both are cut off from PostgreSQL: nothing is lost, each key is in order, repeats
    step up by one, and the newest is the last."""
    topic = create_topic(kafka, f"{prefix}.orders", partitions=3)
    outbox = outbox_of(postgres, kafka, prefix, rows=50)
    writers = Writers(outbox, keys=30)

    def goes_on(relay: ServiceProcess) -> None:
        before = relay.metric("hooklane_outbox_published_total")
        relay.wait_for(lambda: relay.metric("hooklane_outbox_published_total") > before + 50)

    with outbox.relay("one") as one, outbox.relay("two") as two:
        for relay in (one, two):
            relay.wait_ready()
        with writers.writing():
            goes_on(one)
            one.kill()
            one.start()
            goes_on(two)
            goes_on(one)
            two.send(signal.SIGSTOP)
            assert outbox.cut() > 0
            one.wait_for(lambda: one.metric("hooklane_outbox_buckets") == 4)
            goes_on(one)
            two.send(signal.SIGCONT)
            goes_on(two)
            assert outbox.cut() > 0
            goes_on(one)
        wait_until(lambda: outbox.left() == 0)
        assert [one.terminate(), two.terminate()] == [0, 0]
    verdict = writers.verdict(topic)
    assert verdict.in_order_and_complete, verdict
    assert sum(writers.written.values()) > 300


def test_buckets_go_from_one_relay_to_another(
    postgres: Postgres, kafka: Kafka, prefix: str
) -> None:
    """A second relay gets its half, and gives it back when it ends; nothing is repeated. One that
    counts with another number of buckets waits until both have ended."""
    topic = create_topic(kafka, f"{prefix}.orders", partitions=3)
    outbox = outbox_of(postgres, kafka, prefix)
    writers = Writers(outbox, keys=20, threads=2)
    two, other = outbox.relay("two"), outbox.relay("other", OUTBOX__BUCKETS="6")

    def has(relay: ServiceProcess, buckets: int) -> None:
        relay.wait_for(lambda: relay.metric("hooklane_outbox_buckets") == buckets)

    def goes_on(relay: ServiceProcess) -> None:
        relay.wait_for(lambda: relay.metric("hooklane_outbox_published_total") > 20)

    with outbox.relay("one") as one:
        has(one, 4)
        with two, other:
            with writers.writing():
                has(two, 2)
                has(one, 2)
                goes_on(two)
                assert two.terminate() == 0
                has(one, 4)
                other.wait_for(lambda: "another number of buckets" in other.log())
                assert other.metric("hooklane_outbox_buckets") == 0
                assert one.terminate() == 0
                has(other, 6)
                goes_on(other)
            other.wait_for(lambda: outbox.left() == 0)
            assert other.terminate() == 0
    verdict = writers.verdict(topic)
    assert verdict.in_order_and_complete, verdict
    assert verdict.repeats == 0


def test_a_bad_row_holds_its_own_key_only(postgres: Postgres, kafka: Kafka, prefix: str) -> None:
    """A row without a type, one that is too large for its topic, and one whose topic is not there:
    what is behind each waits, all else goes on, and once they are mended all comes in order."""
    topic = create_topic(kafka, f"{prefix}.orders", config={"max.message.bytes": "3000"})
    outbox = outbox_of(postgres, kafka, prefix, again_after="1s")
    # Random, so that compression does not make it smaller.
    large = json.dumps(Random(1).randbytes(4000).hex())
    for number in range(20):
        outbox.write(f"good-{number % 3}", payload=f'{{"n": {number}}}')
        if number == 5:
            outbox.write("untyped", "", payload='{"n": 1}')
            outbox.write("large", payload=large)
            outbox.write("elsewhere", of="nowhere", payload='{"n": 1}')
            outbox.write("untyped", payload='{"n": 2}')
            outbox.write("large", payload='{"n": 2}')
            outbox.write("elsewhere", of="nowhere", payload='{"n": 2}')
    with outbox.relay() as relay:
        relay.wait_for(lambda: outbox.left() == 6)
        relay.wait_for(lambda: relay.metric("hooklane_outbox_held") == 3)
        assert relay.metric('hooklane_outbox_bad_rows_total{outcome="waits"}') >= 3
        keys = [one.key for one in outbox.published(topic)]
        assert len(keys) == 20
        assert all(key is not None and key.startswith(b"good-") for key in keys)
        outbox.run("UPDATE outbox SET type = 'order.paid' WHERE type = ''")
        set_topic(kafka, topic, "max.message.bytes", "1000000")
        nowhere = create_topic(kafka, f"{prefix}.nowhere")
        relay.wait_for(lambda: outbox.left() == 0)
    mended = [one for one in outbox.published(topic) if not (one.key or b"").startswith(b"good-")]
    assert [one.value for one in mended if one.key == b"untyped"] == [b'{"n": 1}', b'{"n": 2}']
    assert [one.value for one in mended if one.key == b"large"] == [large.encode(), b'{"n": 2}']
    assert [one.value for one in outbox.published(nowhere)] == [b'{"n": 1}', b'{"n": 2}']


def test_marked_rows_stay_and_bad_ones_are_skipped(
    postgres: Postgres, kafka: Kafka, prefix: str
) -> None:
    """With `mark` and `skip` no row goes: published ones have their time, a bad one its reason, and
    what was behind it has gone on."""
    topic = create_topic(kafka, f"{prefix}.orders")
    outbox = outbox_of(postgres, kafka, prefix, after=AfterPublishing.MARK, on_bad_row=BadRows.SKIP)
    for type_ in ("a", "", "b"):
        outbox.write("k", type_)
    with outbox.relay() as relay:
        waiting = "SELECT count(*) FROM outbox WHERE published_at IS NULL AND failure IS NULL"
        relay.wait_for(lambda: outbox.run(waiting) == [(0,)])
        assert relay.metric('hooklane_outbox_bad_rows_total{outcome="skipped"}') == 1
        outbox.run("UPDATE outbox SET type = 'c', failure = NULL WHERE failure IS NOT NULL")
        relay.wait_for(lambda: outbox.run(waiting) == [(0,)])
    rows = outbox.run("SELECT published_at IS NOT NULL FROM outbox")
    assert rows == [(True,)] * 3
    types = [dict(one.headers)["ce_type"] for one in outbox.published(topic)]
    assert types == [b"a", b"b", b"c"]


def test_postgres_goes_away_and_comes_back(postgres: Postgres, kafka: Kafka, prefix: str) -> None:
    """A relay outlives its database's crash, also one that begins while it is away; it is ready
    only once it has been there."""
    topic = create_topic(kafka, f"{prefix}.orders")
    outbox = outbox_of(postgres, kafka, prefix)
    outbox.write("k", payload='{"n": 1}')
    with outbox.relay("one") as one, outbox.relay("two") as two:
        one.wait_ready()
        two.wait_ready()
        one.wait_for(lambda: outbox.left() == 0)
        two.kill()
        postgres.stop()
        try:
            one.wait_for(lambda: one.metric("hooklane_outbox_connected") == 0)
            two.start()
            two.wait_for(lambda: two.get("/healthz")[0] == 200)
            assert two.get("/readyz")[0] == 503
            assert one.get("/readyz")[0] == 200
        finally:
            postgres.start()
        outbox.write("k", payload='{"n": 2}')
        two.wait_ready()
        wait_until(lambda: outbox.left() == 0)
    values = [stored.value for stored in outbox.published(topic)]
    assert values == [b'{"n": 1}', b'{"n": 2}']


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("DROP TABLE outbox", "There is no table outbox"),
        ("ALTER TABLE outbox DROP COLUMN position", "ADD COLUMN"),
        ("ALTER TABLE outbox RENAME payload TO body", "has no column payload"),
        ("ALTER TABLE outbox DROP CONSTRAINT outbox_position_key", "ADD UNIQUE"),
        ("ALTER TABLE outbox ALTER position SET CACHE 20", "SET CACHE 1"),
        ("REVOKE DELETE ON outbox FROM PUBLIC, {role}", "GRANT DELETE"),
        ("REVOKE SELECT ON outbox FROM {role}", "GRANT SELECT"),
        ("ALTER ROLE {role} PASSWORD 'another'", "authentication failed"),
    ],
)
async def test_what_a_person_has_to_mend_is_said(
    postgres: Postgres, kafka: Kafka, prefix: str, spoil: str, words: str
) -> None:
    """A table that the promises do not hold for, or a right that is missing, is one sentence that
    names the statement or the setting; without a word of the password."""
    outbox = outbox_of(postgres, kafka, prefix)
    outbox.run(spoil.format(role=f'"{outbox.role}"'))
    with pytest.raises(OutboxError, match=words) as raised:
        await open_session(lambda: outbox.dsn, layout_from(outbox.settings))
    assert PASSWORD not in str(raised.value)


def test_without_a_database_nothing_starts(kafka: Kafka, prefix: str) -> None:
    """The setting that is missing is named, with exit code 2."""
    done = hooklane(environment(kafka, prefix), "outbox")
    assert done.returncode == 2
    assert "HOOKLANE_OUTBOX__DSN" in done.stderr
