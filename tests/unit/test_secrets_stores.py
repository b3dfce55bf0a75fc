"""Secrets out of plugins' stores: fetched once, kept, asked for again in time."""

import asyncio
import threading
from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest

from hooklane.runtime.errors import SecretError
from hooklane.runtime.plugins import InstalledPlugins
from hooklane.runtime.secrets import Secrets
from hooklane.runtime.secrets_stores import Stores
from hooklane.runtime.settings_sections import SecretSettings
from hooklane.schemas.plugged import Group
from hooklane.schemas.plugin import Fetched, PluginFailure
from tests.support.plugins import entry, plugin


class Vault:
    """A store of one test, with a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.answer: Callable[[str], object] = lambda path: Fetched(path.encode() + b"-1", 100.0)
        self.stores = Stores({}, InstalledPlugins([self.entry()]), lambda: self.now)

    def entry(self) -> EntryPoint:
        return entry(Group.SECRETS, "vault", plugin(self.fetch, "fetch"))

    def fetch(self, path: str) -> object:
        self.asked.append(path)
        return self.answer(path)

    def settled(self, reference: str) -> bytes:
        """The value once no fetch is under way."""
        self.stores.fetching([reference])
        kept = self.stores._kept[reference]
        if kept.fetching is not None:
            kept.fetching.result(10)
        return self.stores.value(reference)


def test_a_secret_is_fetched_once_and_kept() -> None:
    """A thousand attempts ask the store once."""
    vault, held = Vault(), threading.Event()
    vault.answer = lambda path: held.wait() and Fetched(path.encode() + b"-1", 100.0)
    (fetch,) = vault.stores.fetching(["vault:a#b"])
    held.set()
    fetch.result(10)
    assert vault.stores.fetching(["vault:a#b"]) == ()
    assert {vault.stores.value("vault:a#b") for _ in range(1000)} == {b"a#b-1"}
    assert vault.asked == ["a#b"]


def test_who_cannot_be_told_later_waits() -> None:
    """The command line resolves a reference that nobody has fetched."""
    assert Vault().stores.value("vault:x") == b"x-1"


async def test_an_event_loop_never_waits() -> None:
    """A service asks by `fetching` first; whoever forgets fails one attempt and stops nobody."""
    vault, stuck = Vault(), threading.Event()
    vault.answer = lambda _: stuck.wait() and Fetched(b"late")
    with pytest.raises(SecretError, match="vault:x is not to be had yet: it is being fetched"):
        vault.stores.value("vault:x")
    stuck.set()
    (*fetches,) = vault.stores.fetching(["vault:x"])
    await asyncio.wait_for(asyncio.gather(*map(asyncio.wrap_future, fetches)), 10)
    assert vault.stores.value("vault:x") == b"late"


def test_it_is_asked_again_before_its_end_and_kept_while_the_store_is_down() -> None:
    """At 80 % of its life; the old one is in use meanwhile, also when the store fails, and the new
    one as soon as it is there."""
    vault = Vault()
    assert vault.settled("vault:a") == b"a-1"
    vault.now = 79.0
    assert (vault.settled("vault:a"), len(vault.asked)) == (b"a-1", 1)

    def down(_: str) -> object:
        raise PluginFailure("the vault said 503")

    vault.now, vault.answer = 81.0, down
    assert (vault.settled("vault:a"), len(vault.asked)) == (b"a-1", 2)
    assert (vault.settled("vault:a"), len(vault.asked)) == (b"a-1", 2)
    vault.now, vault.answer = 82.5, lambda _: Fetched(b"new", 100.0)
    assert (vault.settled("vault:a"), len(vault.asked)) == (b"new", 3)


def test_a_store_that_fails_is_not_asked_in_a_circle() -> None:
    """After a second, then two: the error in between is the last one's, and holds no secret."""
    vault = Vault()

    def down(_: str) -> object:
        raise RuntimeError("token hvs.s3cret is not valid")

    vault.answer = down
    for now, asked in ((0.0, 1), (0.9, 1), (1.1, 2), (3.0, 2), (3.2, 3)):
        vault.now = now
        with pytest.raises(SecretError, match=r"vault:a is not to be had: .*RuntimeError") as told:
            vault.settled("vault:a")
        assert "hvs" not in str(told.value)
        assert len(vault.asked) == asked


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"raw", "bytes instead of Fetched"),
        (Fetched(b""), "not 1 to 65536 bytes"),
        (Fetched(b"x" * 65_537), "not 1 to 65536 bytes"),
        (Fetched(b"x", 0.0), "without a time for which it is good"),
        (Fetched(b"x", float("nan")), "without a time for which it is good"),
    ],
)
def test_nonsense_is_no_secret(answer: object, said: str) -> None:
    """What a store must not give is named with the store."""
    vault = Vault()
    vault.answer = lambda _: answer
    with pytest.raises(SecretError, match=f"plugin vault of .* gave nothing of use: .*{said}"):
        vault.stores.value("vault:a")


def test_one_reference_waits_for_no_other() -> None:
    """A path that hangs does not hold up what is known."""
    vault, stuck = Vault(), threading.Event()
    assert vault.settled("vault:a") == b"a-1"
    vault.answer = lambda _: stuck.wait() and Fetched(b"late")
    assert len(vault.stores.fetching(["vault:a", "vault:b"])) == 1
    assert vault.stores.value("vault:a") == b"a-1"
    stuck.set()


def test_references_of_all_kinds_are_resolved_side_by_side() -> None:
    """A store's value is told to the log's redaction like any other."""
    vault = Vault()
    secrets = Secrets(SecretSettings(), environ={"HOOKLANE_SECRET_A": "x"}, stores=vault.stores)
    assert secrets.resolve("vault:a") == b"a-1"
    assert secrets.resolve("env:HOOKLANE_SECRET_A") == b"x"
    with pytest.raises(SecretError, match="in the clear"):
        secrets.resolve("other:a")
