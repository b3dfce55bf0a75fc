"""Kafka's password, read again while the clients live."""

import asyncio
import gc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hooklane.runtime import kafka_credentials
from hooklane.runtime.kafka_clients import open_admin, open_consumer, open_producer
from hooklane.runtime.kafka_credentials import CREDENTIALS, Client, Credentials, follow_files
from hooklane.runtime.redaction import KnownSecrets

FIRST = {"sasl.username": "a", "sasl.password": "one"}
SECOND = {"sasl.username": "a", "sasl.password": "two"}
BARE = {"bootstrap.servers": "127.0.0.1:1", "log_level": "0"}


class Told:
    """A client that remembers what it was told, or that has been closed."""

    def __init__(self, *, closed: bool = False) -> None:
        self.said: list[tuple[str, str]] = []
        self._closed = closed

    def set_sasl_credentials(self, username: str, password: str) -> None:
        if self._closed:
            raise RuntimeError("Handle has been closed")
        self.said.append((username, password))


def test_open_clients_are_told_once_of_each_change() -> None:
    """What is the same is no news; a closed client keeps nobody else from hearing of it."""
    credentials, client, closed = Credentials(), Told(), Told(closed=True)
    credentials.opened(closed)
    credentials.opened(client)
    assert credentials.renew(FIRST)
    assert not credentials.renew(FIRST)
    assert credentials.renew(SECOND)
    assert client.said == [("a", "one"), ("a", "two")]


def test_half_of_them_changes_nothing() -> None:
    """A folder that is being written has a user without a password for a moment."""
    credentials, client = Credentials(), Told()
    credentials.opened(client)
    assert not credentials.renew({"sasl.username": "b"})
    assert client.said == []


def test_a_client_that_is_opened_later_has_the_newest() -> None:
    """Configurations are made at the start, clients also later; one without SASL stays as it is."""
    credentials = Credentials()
    credentials.renew(SECOND)
    assert credentials.over({**BARE, **FIRST}) == {**BARE, **SECOND}
    assert credentials.over(BARE) == BARE


def test_nothing_is_kept_alive() -> None:
    """A client that nobody has any more is forgotten."""
    credentials = Credentials()
    credentials.opened(Told())
    gc.collect()
    assert len(credentials._clients) == 0


def test_every_kind_of_client_takes_them() -> None:
    """librdkafka's own clients, as the services open them, know the call."""
    group = {**BARE, "group.id": "g"}
    before = len(CREDENTIALS._clients)
    clients: list[Client] = [open_producer(BARE), open_consumer(group), open_admin(BARE)]
    assert len(CREDENTIALS._clients) == before + 3
    for client in clients:
        client.set_sasl_credentials("a", "b")


async def test_files_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new password is told, and kept out of the log, also where the user's name is no file; a
    folder that is away for a moment is said, and changes nothing."""
    monkeypatch.setattr(kafka_credentials, "EVERY_S", 0.001)
    folder, away = tmp_path / "kafka", tmp_path / "away"
    folder.mkdir()
    (folder / "sasl.password").write_text("one")
    credentials, client, secrets = Credentials(), Told(), KnownSecrets()
    credentials.opened(client)
    with capture_logs() as logs:
        following = asyncio.create_task(follow_files(folder, FIRST, secrets, credentials))
        await until(lambda: client.said == [("a", "one")])
        folder.rename(away)
        await until(lambda: any(line["log_level"] == "warning" for line in logs))
        (away / "sasl.password").write_text("canary-two")
        away.rename(folder)
        await until(lambda: client.said[1:] == [("a", "canary-two")])
        await until(lambda: any(line["log_level"] == "info" for line in logs))
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    assert secrets.redact("the canary-two flies") != "the canary-two flies"
    assert "canary" not in str(logs)


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)
