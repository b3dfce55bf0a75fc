"""SASL credentials of open Kafka clients, given to them again when the files of them change.

librdkafka takes new ones for the connections that it opens from then on; those that are open live
on. Other properties that are files (a certificate's passphrase, an OAuth client's secret) it reads
once.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol
from weakref import WeakSet

import structlog

from hooklane.runtime.kafka_properties import Property
from hooklane.runtime.kafka_property_files import property_files
from hooklane.runtime.redaction import KnownSecrets

log = structlog.get_logger(__name__)

USERNAME: Final = "sasl.username"
PASSWORD: Final = "sasl.password"  # noqa: S105 - a property's name
EVERY_S: Final = 10.0


class Client(Protocol):
    """What every client of confluent-kafka has."""

    def set_sasl_credentials(self, username: str, password: str) -> object: ...


class Credentials:
    """A process' user and password: told to its open clients, and known for those to come."""

    def __init__(self) -> None:
        self._clients: WeakSet[Client] = WeakSet()
        self._newest: dict[str, str] = {}

    @property
    def user(self) -> str:
        """Whose they are; empty while nothing is known."""
        return self._newest.get(USERNAME, "")

    def over(self, config: Mapping[str, str]) -> dict[str, str]:
        """A configuration that was made earlier, with what is known by now."""
        return {**config, **self._newest} if PASSWORD in config else dict(config)

    def opened(self, client: Client) -> None:
        """A client that is to hear of new ones for as long as it lives."""
        self._clients.add(client)

    def renew(self, found: Mapping[str, str]) -> bool:
        """Take what the files say; whether it is news."""
        newest = {name: found[name] for name in (USERNAME, PASSWORD) if name in found}
        if len(newest) < 2 or newest == self._newest:
            return False
        self._newest = newest
        for client in tuple(self._clients):
            _tell(client, newest)
        return True


def _tell(client: Client, newest: Mapping[str, str]) -> None:
    try:
        client.set_sasl_credentials(newest[USERNAME], newest[PASSWORD])
    except RuntimeError:
        # It has been closed, and is only still known by somebody.
        log.debug("a closed client was passed over")


CREDENTIALS: Final = Credentials()
"""The clients are the process', and so are these."""


async def follow_files(
    folder: Path,
    given: Mapping[str, Property],
    secrets: KnownSecrets,
    credentials: Credentials = CREDENTIALS,
) -> None:
    """Look at the folder again and again, until cancelled.

    `given`: the properties of the start. A user's name that is no file is there.
    """
    before = {name: str(value) for name, value in given.items()}
    credentials.renew(before)
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            found = await asyncio.to_thread(property_files, folder)
        except ValueError as error:
            # Half-written, or away for a moment: what was read before stays in force.
            log.warning("Kafka's credentials cannot be read again", error=str(error))
            continue
        secrets.add(found.get(PASSWORD, ""))
        if credentials.renew({**before, **found}):
            log.info("Kafka's credentials were read again", user=credentials.user)
