"""Fixtures for tests against real Kafka and real sockets."""

from collections.abc import Iterator

import pytest

from tests.kafka.broker import Kafka
from tests.support.site import Site, make_site
from tests.support.webhook_sink import WebhookSink


@pytest.fixture
def site(kafka: Kafka, prefix: str) -> Site:
    """Hooklane's topics of this test alone."""
    return make_site(kafka, prefix)


@pytest.fixture
def fast(kafka: Kafka, prefix: str) -> Site:
    """An installation whose tiers are short."""
    return make_site(kafka, prefix, tiers=("1s", "2s", "4s"))


@pytest.fixture
def sink() -> Iterator[WebhookSink]:
    """A receiver that accepts everything until it is told otherwise."""
    with WebhookSink() as sink:
        yield sink
