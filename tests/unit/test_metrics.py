"""Metrics: the names that dashboards rely on, closed labels, and a registry each."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hooklane.runtime.metrics import EventOutcome, Metrics, Service, TransactionOutcome
from hooklane.runtime.metrics_hot import HotHistogram
from hooklane.runtime.metrics_restore import Restores
from hooklane.schemas.book import Entry
from hooklane.schemas.book_status import Status, StatusState
from hooklane.schemas.records import AttemptOutcome
from hooklane.schemas.subscription import validate
from hooklane.schemas.subscription_values import ServicePolicy
from hooklane.schemas.version import __version__

FIXED = {
    "hooklane_events_total": {"outcome"},
    "hooklane_delivery_attempts_total": {"service", "outcome"},
    "hooklane_delivery_attempt_duration_seconds_count": set(),
    "hooklane_delivery_latency_seconds_count": set(),
    "hooklane_redirects_total": set(),
    "hooklane_backlog_tasks": set(),
    "hooklane_lanes_blocked": set(),
    "hooklane_dead_letters_total": set(),
    "hooklane_oldest_undelivered_seconds": set(),
}


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text, _ = metrics.exposition("")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize(("name", "labels"), FIXED.items())
def test_fixed_names_have_their_labels(name: str, labels: set[str]) -> None:
    """Each name of the design is exported from the start, with the labels that it fixes."""
    found = [set(dict(labels)) for (one, labels) in samples(Metrics(Service.FANOUT)) if one == name]
    assert found
    assert all(one == labels for one in found)


@pytest.mark.parametrize("outcome", AttemptOutcome)
def test_attempts_are_counted_by_outcome(outcome: AttemptOutcome) -> None:
    """An attempt counts for its service and outcome only."""
    metrics = Metrics(Service.RETRIER)
    metrics.attempted("billing", outcome, 0.1)
    counted = {
        dict(labels)["outcome"]: value
        for (name, labels), value in samples(metrics).items()
        if name == "hooklane_delivery_attempts_total" and ("service", "retrier") in labels
    }
    assert counted == {one.value: float(one is outcome) for one in AttemptOutcome}


def test_every_outcome_has_its_child() -> None:
    """A closed enum is bound whole: no outcome is met for the first time in a hot path."""
    metrics = Metrics(Service.FANOUT)
    assert set(metrics.events) == set(EventOutcome)
    assert set(metrics.transactions) == set(TransactionOutcome)


@given(st.lists(st.floats(0, 100, allow_nan=False) | st.sampled_from([0.005, 0.01, 60.0])))
def test_the_hot_ones_say_what_the_library_would(seconds: list[float]) -> None:
    """A histogram without locks exports what prometheus-client's own does, bounds included."""
    bounds = (0.005, 0.01, 1, 60)
    registries = CollectorRegistry(), CollectorRegistry()
    own = HotHistogram("h", "Help.", bounds, registries[0])
    twin = Histogram("h", "Help.", buckets=bounds, registry=registries[1])
    for one in seconds:
        own.observe(one)
        twin.observe(one)
    assert generate_latest(registries[0]) == generate_latest(registries[1])


def test_two_processes_in_one_do_not_meet() -> None:
    """Each Metrics counts for itself, and can be made again."""
    one, other = Metrics(Service.FANOUT), Metrics(Service.FANOUT)
    one.redirects.inc()
    name = ("hooklane_redirects_total", frozenset[tuple[str, str]]())
    assert (samples(one)[name], samples(other)[name]) == (1.0, 0.0)


def test_a_partition_that_was_let_go_is_forgotten() -> None:
    """The window of a revoked partition does not stay at its last value."""
    metrics = Metrics(Service.FANOUT)
    metrics.window("orders", 3).set(7)
    metrics.lag("orders", 3).set(7)
    labels = frozenset({("topic", "orders"), ("partition", "3")})
    names = [("hooklane_window_events", labels), ("hooklane_lag_events", labels)]
    assert [samples(metrics)[name] for name in names] == [7, 7]
    metrics.forget_partition("orders", 3)
    assert not samples(metrics).keys() & set(names)


def in_force(name: str, *, disabled: bool = False) -> Entry:
    document = validate({"id": name, "url": f"https://{name}.example/"}, ServicePolicy())
    gone = Status(StatusState.DISABLED, "410 Gone", 1, datetime.now(UTC))
    return Entry(document, 1, gone if disabled else None)


def by_subscription(metrics: Metrics, name: str, **more: str) -> dict[str, float]:
    """A metric's values by subscription, those at nought left out."""
    found = {}
    for (one, labels), value in samples(metrics).items():
        told = dict(labels)
        if one == f"hooklane_subscription_{name}" and more.items() <= told.items() and value:
            found[told["subscription"]] = value
    return found


def attempt(metrics: Metrics, *names: str) -> None:
    for name in names:
        metrics.attempted(name, AttemptOutcome.DELIVERED, 0.5)


def test_subscriptions_have_labels_up_to_a_number() -> None:
    """Those that came first have one each; the others are one together, so that all add up."""
    metrics = Metrics(Service.FANOUT, labelled=2)
    for name in ("a", "b", "c", "d"):
        metrics.by_subscription.in_force(in_force(name))
    attempt(metrics, "a", "b", "b", "c", "d", "unknown")
    counted = by_subscription(metrics, "attempts_total", outcome="delivered")
    assert counted == {"a": 1, "b": 2, "other": 3}
    assert by_subscription(metrics, "attempt_seconds_total") == {"a": 0.5, "b": 1, "other": 1.5}


def test_a_subscription_called_other_is_one_of_the_others() -> None:
    """Two rows of one label would make the whole page unreadable."""
    metrics = Metrics(Service.FANOUT)
    metrics.by_subscription.in_force(in_force("other"))
    attempt(metrics, "other", "unknown")
    assert by_subscription(metrics, "attempts_total") == {"other": 2}


def test_a_deleted_subscription_gives_its_label_back() -> None:
    """However many come and go, there are never more labels than were allowed."""
    metrics = Metrics(Service.FANOUT, labelled=1)
    for name in ("a", "b", "c"):
        metrics.by_subscription.in_force(in_force(name))
        attempt(metrics, name)
        assert by_subscription(metrics, "attempts_total") == {name: 1}
        metrics.by_subscription.gone(name)
    assert by_subscription(metrics, "attempts_total") == {}


def test_an_edit_keeps_the_label_and_its_counts() -> None:
    """A new document of a subscription is the same subscription."""
    metrics = Metrics(Service.FANOUT, labelled=1)
    for name in ("a", "b", "a"):
        metrics.by_subscription.in_force(in_force(name))
        attempt(metrics, "a")
    assert by_subscription(metrics, "attempts_total") == {"a": 3}


@pytest.mark.parametrize("outcome", AttemptOutcome)
def test_subscriptions_are_counted_by_outcome(outcome: AttemptOutcome) -> None:
    """Of each outcome for itself."""
    metrics = Metrics(Service.RETRIER)
    metrics.by_subscription.in_force(in_force("a"))
    metrics.attempted("a", outcome, 0.1)
    assert by_subscription(metrics, "attempts_total", outcome=outcome) == {"a": 1}
    assert by_subscription(metrics, "attempts_total") == {"a": 1}


def test_dead_letters_by_subscription() -> None:
    """A record that is no event is nobody's."""
    metrics = Metrics(Service.RETRIER)
    metrics.by_subscription.in_force(in_force("a"))
    for name in ("a", "b", None):
        metrics.by_subscription.given_up(name)
    assert by_subscription(metrics, "dead_letters_total") == {"a": 1, "other": 1}


def test_open_circuits_by_subscription() -> None:
    """Those without a label are counted together."""
    metrics = Metrics(Service.RETRIER, labelled=2)
    for name in ("a", "b", "c", "d"):
        metrics.by_subscription.in_force(in_force(name))
    metrics.by_subscription.is_open = lambda url: url != "https://a.example/"
    assert by_subscription(metrics, "circuits_open") == {"b": 1, "other": 2}


def test_disabled_subscriptions_are_counted_until_they_are_renewed() -> None:
    """A newer document, or the end of the subscription, takes it back."""
    metrics = Metrics(Service.FANOUT)
    name = ("hooklane_disabled_subscriptions", frozenset[tuple[str, str]]())
    counts = []
    metrics.by_subscription.in_force(in_force("a", disabled=True))
    metrics.by_subscription.in_force(in_force("b", disabled=True))
    counts.append(samples(metrics)[name])
    metrics.by_subscription.in_force(in_force("a"))
    counts.append(samples(metrics)[name])
    metrics.by_subscription.gone("b")
    counts.append(samples(metrics)[name])
    assert counts == [2, 1, 0]


def test_restores_are_asked_when_they_are_read() -> None:
    """How far they are is never older than the page."""
    metrics, facts = Metrics(Service.RETRIER), [Restores(2, 70, 1.5, 0.0)]
    metrics.restores.facts = lambda: facts[0]
    names = ("restoring_partitions", "restore_records_left", "restore_running_seconds")
    read = [samples(metrics)[f"hooklane_{name}", frozenset()] for name in names]
    facts[0] = Restores(last_s=4.0)
    assert read == [2, 70, 1.5]
    assert samples(metrics)["hooklane_restore_seconds", frozenset()] == 4.0


def test_progress_is_a_moment() -> None:
    """The start of the process at first, so that one that never began is found as well."""
    metrics, name = Metrics(Service.FANOUT), "hooklane_last_progress_timestamp_seconds"
    assert abs(samples(metrics)[name, frozenset()] - time.time()) < 60
    metrics.progressed(5_500)
    assert samples(metrics)[name, frozenset()] == 5.5


def test_openmetrics_where_it_is_asked_for() -> None:
    """The `Accept` header chooses the format, and the version is told in both."""
    metrics = Metrics(Service.FANOUT)
    plain, plain_type = metrics.exposition("*/*")
    newer, newer_type = metrics.exposition("application/openmetrics-text;version=1.0.0")
    assert plain_type.startswith("text/plain")
    assert newer_type.startswith("application/openmetrics-text")
    assert newer.endswith(b"# EOF\n")
    assert f'version="{__version__}"'.encode() in plain
