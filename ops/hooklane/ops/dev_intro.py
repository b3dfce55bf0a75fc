"""What `hooklane dev` says before anything happens: where things are, and what to type. Pure."""

from collections.abc import Iterator
from pathlib import Path

from hooklane.ops.embedded_broker import PARTITIONS
from hooklane.runtime.settings import Settings
from hooklane.schemas.topics import TopicNames

_EVENT = """--type order.paid --key c-42 --data '{"amount": 120}'"""
_USUAL_SERVERS = "localhost:9092"
_USUAL_PREFIX = "hooklane"
SAMPLE_TOPIC = "orders.events"


def introduction(
    address: str, settings: Settings, *, real: bool, folder: Path | None, receiver: str | None
) -> Iterator[str]:
    """Lines. `folder`: None where nobody named one; `receiver`: its URL."""
    names = settings.topic_names
    if real:
        yield f"Hooklane dev, on the Kafka at {address}: topics {names.prefix}.*"
    else:
        yield f"Hooklane dev, on a broker of its own at {address}."
        yield "It is the one inside librdkafka, not a real Kafka: it keeps nothing."
    if folder is None:
        yield f"No folder was named, so that every event goes to {receiver}"
    else:
        yield f"Subscriptions: {folder}, watched. Save, add or delete files as you like."
    if receiver is not None:
        yield f"A receiver is at {receiver} and takes every path."
    yield "Ctrl-C ends."
    yield "For other commands, in their shell:"
    yield from (f"  export {one}" for one in _exports(address, settings, names, real=real))


def how_to_publish(topics: tuple[str, ...]) -> str:
    """A command that publishes an event."""
    topic = next((one for one in topics if not one.startswith("^")), SAMPLE_TOPIC)
    return f"hooklane publish {topic} {_EVENT}"


_ALLOWED = (
    # Else they take the documents that are good here for bad ones.
    "HOOKLANE_DELIVERY__ALLOW_HTTP=true",
    "HOOKLANE_SECRETS__ALLOW_PLAINTEXT=true",
)


def _exports(address: str, settings: Settings, names: TopicNames, *, real: bool) -> Iterator[str]:
    if address != _USUAL_SERVERS:
        yield f"HOOKLANE_KAFKA__BOOTSTRAP_SERVERS={address}"
    if names.prefix != _USUAL_PREFIX:
        yield f"HOOKLANE_TOPICS__PREFIX={names.prefix}"
    if real:
        yield f"HOOKLANE_TOPICS__PARTITIONS={settings.topics.partitions}"
        yield f"HOOKLANE_FANOUT__GROUP_ID={settings.fanout.group_id}"
        yield f"HOOKLANE_RETRIER__GROUP_ID={settings.retrier.group_id}"
    else:
        yield f"HOOKLANE_TOPICS__PARTITIONS={PARTITIONS}"
    yield from _ALLOWED
