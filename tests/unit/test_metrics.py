"""Metrics: the names that dashboards rely on, closed labels, and a registry each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hooklane.runtime.metrics import EventOutcome, Metrics, Service, TransactionOutcome
from hooklane.runtime.metrics_hot import HotHistogram
from hooklane.schemas.records import AttemptOutcome
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
    metrics.attempts[outcome].inc()
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
    name = ("hooklane_window_events", frozenset({("topic", "orders"), ("partition", "3")}))
    assert samples(metrics)[name] == 7
    metrics.forget_window("orders", 3)
    assert name not in samples(metrics)


def test_openmetrics_where_it_is_asked_for() -> None:
    """The `Accept` header chooses the format, and the version is told in both."""
    metrics = Metrics(Service.FANOUT)
    plain, plain_type = metrics.exposition("*/*")
    newer, newer_type = metrics.exposition("application/openmetrics-text;version=1.0.0")
    assert plain_type.startswith("text/plain")
    assert newer_type.startswith("application/openmetrics-text")
    assert newer.endswith(b"# EOF\n")
    assert f'version="{__version__}"'.encode() in plain
