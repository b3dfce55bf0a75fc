"""Plugins by their entry points: which words they give, and which are refused."""

import json
import threading
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from hooklane.runtime.errors import SettingsError
from hooklane.runtime.plugins import InstalledPlugins
from hooklane.schemas.book import ChangeKind, SubscriptionBook
from hooklane.schemas.plugged import Group, PluginError
from hooklane.schemas.subscription import validate
from hooklane.schemas.subscription_faults import SubscriptionError
from tests.support.plugins import distribution, entry, plugin, policy

LEAST = {"id": "a", "url": "https://example.com/a"}


def yes(*_: object) -> bool:
    return True


def test_a_name_is_a_word_of_its_group_alone() -> None:
    """Documents may write it there, and nowhere else."""
    found = InstalledPlugins([entry(Group.FILTERS, "sample", plugin(yes, "matches"))])
    assert found.names(Group.FILTERS) == ("sample",)
    assert all(found.names(group) == () for group in Group if group is not Group.FILTERS)
    found.check()


@pytest.mark.parametrize(
    ("group", "name"),
    [
        (Group.SIGNING, "standard"),
        (Group.AUTH, "bearer"),
        (Group.FILTERS, "cel"),
        (Group.PAYLOAD, "structured"),
        (Group.SECRETS, "env"),
    ],
)
def test_what_is_built_in_cannot_be_shadowed(group: Group, name: str, tmp_path: Path) -> None:
    """A service does not start, the sentence names the distribution, and the word stays ours."""
    found = InstalledPlugins([entry(group, name, object, distribution(tmp_path, "bold-pack"))])
    assert found.names(group) == ()
    with pytest.raises(SettingsError, match=f"{group} plugin {name} of bold-pack.*built in"):
        found.check()


def test_two_distributions_with_one_name_are_refused(tmp_path: Path) -> None:
    """Neither is taken by chance: both are named."""
    one, other = distribution(tmp_path, "pack-one"), distribution(tmp_path, "pack-two")
    found = InstalledPlugins(
        [entry(Group.SIGNING, "acme", object, one), entry(Group.SIGNING, "acme", object, other)]
    )
    assert found.names(Group.SIGNING) == ()
    with pytest.raises(SettingsError, match=r"acme of pack-two.*second time, of pack-one: remove"):
        found.check()


def test_a_name_that_no_document_can_write_is_refused() -> None:
    """A colon or a capital would make references and words ambiguous."""
    with pytest.raises(SettingsError, match="has a name that no document can write"):
        InstalledPlugins([entry(Group.SECRETS, "Vault:x", object)]).check()


class Newer:
    api = 2


class Idle:
    api = 1

    def __init__(self, options: object) -> None:
        pass


class Strict:
    api = 1

    def __init__(self, options: dict[str, object]) -> None:
        if "percent" not in options:
            raise ValueError("percent is missing")
        if options["percent"] == 0:
            raise RuntimeError("top secret")

    def matches(self, event: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("leads_to", "options", "said"),
    [
        (Newer, {}, "has `api = 1`, and has 2"),
        (3, {}, "something to call that has `api = 1`, and has None"),
        (Idle, {}, "makes Idle without matches()"),
        (Strict, {}, "does not take these options: percent is missing"),
        (Strict, {"percent": 0}, "failed: RuntimeError, see the log"),
    ],
)
def test_a_plugin_that_cannot_be_used_refuses_the_document(
    leads_to: object, options: object, said: str, tmp_path: Path
) -> None:
    """With the field's path and the plugin's name; text that it did not mean for people is kept
    back."""
    mine = distribution(tmp_path, "acme-pack")
    here = policy(entry(Group.FILTERS, "sample", leads_to, mine))
    with pytest.raises(ValueError, match="filters") as told:
        validate({**LEAST, "match": {"filters": [{"sample": options}]}}, here)
    assert str(told.value).startswith(
        "match.filters[0].sample: the filters plugin sample of acme-pack 1.0"
    )
    assert said in str(told.value)
    assert "top secret" not in str(told.value)


def test_one_that_cannot_be_imported_says_why() -> None:
    """A dependency that is missing is named, and nobody else is disturbed."""
    found = InstalledPlugins(
        [
            entry(Group.FILTERS, "sample", plugin(yes, "matches")),
            EntryPoint("lost", "no_such_module:Lost", "hooklane.signing"),
        ]
    )
    with pytest.raises(ValueError, match=r"cannot be imported .ModuleNotFoundError: No module"):
        found.plugged(Group.SIGNING, "lost", {})
    assert found.plugged(Group.FILTERS, "sample", {}).ask(bool, None)


def test_one_whose_constructor_hangs_costs_its_limit_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand documents that name it do not hold up a service's start a thousand times."""
    monkeypatch.setattr("hooklane.runtime.plugins.CALL_LIMIT_S", 0.05)
    stuck = threading.Event()

    class Hangs:
        api = 1

        def __init__(self, options: object) -> None:
            stuck.wait()

    here = InstalledPlugins([entry(Group.SIGNING, "hangs", Hangs)])
    with pytest.raises(ValueError, match=r"has not answered within 0.05 s"):
        here.plugged(Group.SIGNING, "hangs", {})
    for number in range(1000):
        with pytest.raises(ValueError, match="it has not come back from an earlier call"):
            here.plugged(Group.SIGNING, "hangs", {"n": number})
    stuck.set()


def test_the_same_options_are_one_plugin() -> None:
    """A document that is read again is equal to the one before."""
    here = policy(entry(Group.FILTERS, "sample", plugin(yes, "matches")))
    document = {**LEAST, "match": {"filters": [{"not": {"sample": {"a": 1, "b": [2]}}}]}}
    read = validate(document, here)
    assert read == validate(document, here)
    assert read.document() == document
    other = {**LEAST, "match": {"filters": [{"not": {"sample": {"a": 2}}}]}}
    assert read != validate(other, here)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"signing": {"scheme": "acme", "secrets": ["file:a"]}},
            "signing.scheme: must be standard",
        ),
        ({"payload": {"mode": "flat"}}, "payload.mode: must be binary"),
        ({"auth": {"acme": {}}}, "auth.acme: is not a field here"),
        ({"match": {"filters": [{"sample": 1}]}}, "match.filters[0]: 'sample' is not a filter"),
        ({"auth": {"bearer": {"token": "vault:a#b"}}}, "auth.bearer.token: is a secret in plain"),
        ({"payload": {"options": {}}}, "payload: must have a plugin's mode for its options"),
    ],
)
def test_a_word_without_its_plugin_is_refused(fields: dict[str, object], said: str) -> None:
    """With the path of the field: so the last good version stays in force where it is missing."""
    with pytest.raises(SubscriptionError) as told:
        validate({**LEAST, **fields}, policy())
    assert str(told.value).startswith(said)


def test_authentication_says_its_secrets_by_name() -> None:
    """References as everywhere else, and a secret in the clear is refused with its path."""
    here = policy(entry(Group.AUTH, "acme", plugin(yes, "headers")))
    good = {**LEAST, "auth": {"acme": {"secrets": {"key": "file:a"}, "options": {"x": 1}}}}
    assert validate(good, here).document() == good
    bad = {**LEAST, "auth": {"acme": {"secrets": {"key": "hunter2"}}}}
    with pytest.raises(
        ValueError, match=r"^auth.acme.secrets.key: is a secret in plain text"
    ) as told:
        validate(bad, here)
    assert "hunter2" not in str(told.value)
    both = {**LEAST, "auth": {"acme": {}, "bearer": {"token": "file:a"}}}
    with pytest.raises(ValueError, match="must have exactly one of"):
        validate(both, here)


def test_an_answer_of_the_wrong_kind_names_the_plugin() -> None:
    """What `read` does not take is the plugin's fault."""
    found = InstalledPlugins([entry(Group.FILTERS, "sample", plugin(yes, "matches"))])

    def refuse(_: object) -> None:
        raise ValueError("a bool instead of a moon")

    with pytest.raises(PluginError, match=r"sample.*gave nothing of use: a bool instead of a moon"):
        found.plugged(Group.FILTERS, "sample", {}).ask(refuse, None)


def test_where_the_plugin_is_missing_the_last_good_version_stays_in_force() -> None:
    """A service that cannot judge a document goes on with the one before, and says why."""
    book = SubscriptionBook(policy())
    book.read(0, b"a", json.dumps(LEAST).encode())
    signed = {**LEAST, "signing": {"scheme": "acme", "secrets": ["file:a"]}}
    change = book.read(1, b"a", json.dumps(signed).encode())
    assert change is not None
    assert change.kind is ChangeKind.BAD
    in_force = book.entry("a")
    assert in_force is not None
    assert in_force.offset == 0
    (finding,) = book.findings()
    assert "a plugin of signing has to be installed here too" in str(finding.faults[0])
