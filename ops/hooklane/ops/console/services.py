"""What the services say of themselves: their `/metrics`, read every few seconds."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

PERIOD_S: Final = 10.0
_TIMEOUT_S: Final = 5.0
_LARGEST: Final = 8 * 2**20
_CIRCUITS: Final = "hooklane_subscription_circuits_open"


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """One service. `fault`: why nothing is known of it. `circuits`: open ones, by subscription,
    None where it does not tell."""

    url: str
    kind: str | None = None
    version: str | None = None
    fault: str | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    circuits: Mapping[str, float] | None = None

    def number(self, name: str) -> float | None:
        """A metric without labels, by its name behind `hooklane_`."""
        return self.numbers.get(f"hooklane_{name}")


def read_metrics(url: str, text: str) -> ServiceFacts:
    """A service's facts from its exposition. Pure.

    Raises:
        ValueError: it is no Prometheus text.
    """
    numbers: dict[str, float] = {}
    circuits: dict[str, float] = {}
    kind = version = None
    tells = False
    for family in text_string_to_metric_families(text):
        tells = tells or family.name == _CIRCUITS
        for sample in family.samples:
            if not sample.labels:
                numbers[sample.name] = sample.value
            elif sample.name == _CIRCUITS:
                circuits[sample.labels.get("subscription", "")] = sample.value
            elif sample.name == "hooklane_delivery_attempts_total":
                kind = sample.labels.get("service")
            elif sample.name == "hooklane_build_info":
                version = sample.labels.get("version")
    return ServiceFacts(url, kind, version, None, numbers, circuits if tells else None)


def circuit_word(services: Sequence[ServiceFacts], subscription: str) -> str | None:
    """`open` or `closed`; None where no service tells of this subscription. Pure."""
    known = (one.circuits or {} for one in services)
    told = [circuits[subscription] for circuits in known if subscription in circuits]
    if not told:
        return None
    return "open" if any(value > 0 for value in told) else "closed"


class ServiceWatch:
    """Asks the services in turn while `run` runs; `facts` is what was known last."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self.facts: Sequence[ServiceFacts] = [ServiceFacts(u, fault="not asked yet") for u in urls]

    async def run(self) -> None:
        """Without end; what a service does not answer is among its facts."""
        if not self._urls:
            await asyncio.Event().wait()
        # Proxies of the environment are never asked: the services are this installation's own.
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
            while True:
                self.facts = await asyncio.gather(*(_asked(client, url) for url in self._urls))
                await asyncio.sleep(PERIOD_S)


async def _asked(client: httpx.AsyncClient, url: str) -> ServiceFacts:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return read_metrics(url, await _text(client, f"{url}/metrics"))
    except (httpx.HTTPError, TimeoutError, ValueError) as error:
        return ServiceFacts(url, fault=str(error) or type(error).__name__)


async def _text(client: httpx.AsyncClient, url: str) -> str:
    async with client.stream("GET", url) as answer:
        if answer.status_code != 200:
            raise ValueError(f"answered {answer.status_code}")
        found = bytearray()
        async for part in answer.aiter_bytes():
            found += part
            if len(found) > _LARGEST:
                raise ValueError(f"more than {_LARGEST} bytes of metrics")
    return found.decode("utf-8", "replace")
