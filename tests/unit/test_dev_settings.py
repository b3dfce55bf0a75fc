"""What `hooklane dev` decides itself, and what it leaves to the developer's settings."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies

from hooklane.ops.dev_services import topics_of
from hooklane.ops.dev_settings import Around, all_topics_but, on_embedded, on_kafka
from hooklane.runtime.errors import SettingsError
from hooklane.runtime.settings_source import Given
from hooklane.schemas.subscription import validate
from hooklane.schemas.subscription_values import ServicePolicy

AROUND = Around("kafka:9092", ("orders.events",), Path("/spool"))
NAMES = strategies.text("hokla.-_x", min_size=1, max_size=12)


def told(**sections: dict[str, Any]) -> Given:
    return Given(path=None, file={}, environment=sections)


@given(name=NAMES)
def test_all_topics_but_our_own(name: str) -> None:
    """The pattern takes every name but those that begin with the prefix, whole names included."""
    for prefix in ("hooklane.", "hook-la.", "x."):
        taken = re.match(all_topics_but(prefix), name) is not None
        assert taken != name.startswith(prefix)


@pytest.mark.parametrize("prefix", ["hooklane", "my-own.prefix"])
def test_the_pattern_is_no_pattern_of_our_own_topics(prefix: str) -> None:
    """The settings, which refuse a pattern that covers Hooklane's own topics, take it."""
    pattern = all_topics_but(f"{prefix}.")
    settings = on_embedded(
        told(topics={"prefix": prefix}), Around("localhost:1", (pattern,), Path())
    )
    assert settings.fanout.topics == (pattern,)


def test_a_kafka_of_others_is_shared_with_care() -> None:
    """Topics and groups have a prefix of dev's own: no real installation's group is joined."""
    settings = on_kafka(told(), AROUND)
    assert settings.topics.prefix == "hooklane-dev"
    assert settings.fanout.group_id == "hooklane-dev-fanout"
    assert settings.retrier.group_id == "hooklane-dev-retrier"
    assert settings.kafka.bootstrap_servers == "kafka:9092"


def test_what_the_developer_set_counts() -> None:
    """Prefix, partitions, groups, security and tiers are the developer's where there are any."""
    settings = on_kafka(
        told(
            topics={"prefix": "mine", "partitions": "7"},
            fanout={"group_id": "ours"},
            retry={"tiers": ["1s"]},
            kafka={"properties": {"security.protocol": "SSL"}, "bootstrap_servers": "other:1"},
        ),
        AROUND,
    )
    assert (settings.topics.prefix, settings.topics.partitions) == ("mine", 7)
    assert (settings.fanout.group_id, settings.retrier.group_id) == ("ours", "mine-retrier")
    assert [tier.text for tier in settings.retry.tiers] == ["1s"]
    assert settings.kafka.properties == {"security.protocol": "SSL"}
    assert settings.kafka.bootstrap_servers == "kafka:9092"


def test_the_embedded_broker_takes_nothing_of_a_kafkas_settings() -> None:
    """Its address and properties are its own, as are its four partitions."""
    settings = on_embedded(
        told(
            kafka={"bootstrap_servers": "other:1", "properties": {"security.protocol": "SSL"}},
            topics={"partitions": "7"},
        ),
        AROUND,
    )
    assert settings.kafka.bootstrap_servers == "kafka:9092"
    assert "security.protocol" not in settings.kafka.properties
    assert settings.topics.partitions == 4


@pytest.mark.parametrize("settings_of", [on_kafka, on_embedded])
def test_receivers_on_this_machine_may_be_reached(settings_of: Any) -> None:
    """http and loopback, besides the networks that the developer allows; secrets in the clear."""
    settings = settings_of(told(delivery={"allow_networks": ["10.0.0.0/8"]}), AROUND)
    networks = [str(one) for one in settings.delivery.allow_networks]
    assert networks == ["10.0.0.0/8", "127.0.0.0/8", "::1/128"]
    assert settings.delivery.allow_http
    assert settings.secrets.allow_plaintext


@pytest.mark.parametrize("settings_of", [on_kafka, on_embedded])
def test_a_wrong_setting_is_named(settings_of: Any) -> None:
    """As everywhere: one sentence with the setting's name."""
    with pytest.raises(SettingsError, match="HOOKLANE_RETRY__TIERS"):
        settings_of(told(retry={"tiers": ["soon"]}), AROUND)


def test_event_topics_are_those_that_somebody_names() -> None:
    """By option or whole in a document, each once; a glob names none."""
    documents = [
        {"id": "a", "url": "https://x.example", "match": {"topics": ["b.events", "c.*"]}},
        {"id": "b", "url": "https://x.example"},
    ]
    subscriptions = [validate(one, ServicePolicy()) for one in documents]
    assert topics_of(["d.events", "b.events"], subscriptions) == ("b.events", "d.events")
