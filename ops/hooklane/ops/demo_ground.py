"""The demonstration's settings and subscriptions, and how its services are watched."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson

from hooklane.delivery.ground import Running
from hooklane.ops.demo_receivers import Receiver
from hooklane.ops.demo_shop import TOPIC
from hooklane.ops.embedded_broker import PARTITIONS
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.settings import Settings

TIERS: Final = ("500ms", "1s", "2s")
_SCHEDULE: Final = [*TIERS, *("2s" for _ in range(5))]
_EFFECTIVE_FROM: Final = "2020-01-01T00:00:00Z"
_READY_S: Final = 20.0
_LOOK_S: Final = 0.05


def settings_for(bootstrap_servers: str, spool: Path) -> Settings:
    """Settings of the demonstration: nothing of the environment or of a file comes in."""
    return Settings.model_validate(
        {
            "kafka": {
                "bootstrap_servers": bootstrap_servers,
                "instance_id": "demo",
                # The embedded broker answers a fetch when this is over, not when a record comes.
                "properties": {"fetch.wait.max.ms": 10},
            },
            "topics": {"partitions": PARTITIONS},
            "fanout": {
                "topics": [TOPIC],
                "revoke_grace": "500ms",
                "shutdown_grace": "500ms",
            },
            "retrier": {
                "spool_dir": spool,
                "revoke_grace": "500ms",
                "shutdown_grace": "500ms",
            },
            "retry": {"tiers": list(TIERS)},
            "delivery": {"allow_http": True, "allow_networks": ["127.0.0.0/8"]},
            "secrets": {"allow_plaintext": True},
        }
    )


def documents(receivers: Sequence[Receiver], urls: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """A subscription for each receiver, by id, as the command line would write it."""
    return [(one.name, orjson.dumps(_document(one, urls[one.name]))) for one in receivers]


def _document(receiver: Receiver, url: str) -> dict[str, object]:
    return {
        "id": receiver.name,
        "url": url,
        "match": {"topics": [TOPIC], "types": list(receiver.subscriber.types)},
        "signing": {"scheme": "standard", "secrets": [receiver.secret]},
        "delivery": {"timeout": "5s"},
        "retry": {"schedule": _SCHEDULE},
        "effective_from": _EFFECTIVE_FROM,
        "uid": f"demo-{receiver.name}",
    }


async def until_ready(services: Sequence[Running]) -> None:
    """Until all of them own their partitions.

    Raises:
        HooklaneError: one failed, or it takes too long.
    """
    try:
        async with asyncio.timeout(_READY_S):
            while any(one.readiness.missing() for one in services):
                for one in services:
                    one.check()
                await asyncio.sleep(_LOOK_S)
    except TimeoutError as error:
        missing = "; ".join(what for one in services for what in one.readiness.missing())
        raise HooklaneError(
            f"The services were not ready after {_READY_S:g} s: {missing}."
        ) from error
