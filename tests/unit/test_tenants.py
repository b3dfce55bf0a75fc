"""Tenants: what each may see, how many subscriptions it may have, and who is told."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hooklane.fanout.match import Matcher
from hooklane.fanout.match_explain import explain
from hooklane.fanout.match_index import ProbeIndex, alternatives_of
from hooklane.ops.attempts_view import AttemptSelection
from hooklane.ops.dead_letters_view import LetterSelection
from hooklane.ops.log_selection import ALWAYS
from hooklane.ops.main import run
from hooklane.ops.replay_plan import Passed, Replay, ReplaySelection
from hooklane.ops.subscriptions_files import Given
from hooklane.ops.subscriptions_plan import (
    RefusedError,
    check_quotas,
    plan_apply,
    plan_prune,
    validated,
)
from hooklane.ops.subscriptions_rows import subscription_rows
from hooklane.ops.tenant import of_tenant
from hooklane.runtime.errors import SettingsError, UsageError
from hooklane.runtime.kafka_settings import tenants_from
from hooklane.runtime.settings import load_settings
from hooklane.runtime.settings_shown import shown
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.codec import ATTEMPTS, DEAD_LETTERS
from hooklane.schemas.event import SourceRecord
from hooklane.schemas.records import DeliveryTask
from hooklane.schemas.subscription_values import ServicePolicy
from hooklane.schemas.tenants import Quota, TenantRules
from tests.support.fanout_facts import entry, event
from tests.support.operator_facts import a_letter, an_attempt, lane_id

RULES = TenantRules({"acme": ("orders", "public.*"), "none": (), "*": ("public.news",)})
STRICT = TenantRules(required=True)
POLICY = ServicePolicy()
NOW_MS = 1_790_000_000_000
NOT_BILLING = (
    "match.topics[1]: billing is no topic that tenant acme may see: write one of orders, public.*"
    " (HOOKLANE_TENANTS__TOPICS)"
)


def given(name: str, tenant: str | None, *topics: str) -> Given:
    document: dict[str, object] = {"id": name, "url": "https://h.example/"}
    if tenant is not None:
        document["tenant"] = tenant
    if topics:
        document["match"] = {"topics": list(topics)}
    return Given(f"{name}.yaml", document)


def book(*documents: Given) -> SubscriptionBook:
    found = SubscriptionBook(POLICY)
    for offset, one in enumerate(documents):
        assert isinstance(one.document, dict)
        value = json.dumps({**one.document, "uid": "u"}).encode()
        found.read(offset, str(one.document["id"]).encode(), value)
    return found


@pytest.mark.parametrize(
    ("rules", "tenant", "asks", "topic", "gets"),
    [
        (TenantRules(), "acme", None, "orders", True),
        (TenantRules(), None, None, "orders", True),
        (RULES, "acme", None, "orders", True),
        (RULES, "acme", None, "public.news", True),
        (RULES, "acme", None, "orders.secret", False),
        (RULES, "acme", ["*"], "billing", False),
        (RULES, "acme", ["billing"], "billing", False),
        (RULES, "acme", ["public.*"], "orders", False),
        (RULES, "acme", ["public.*"], "public.news", True),
        (RULES, "none", None, "orders", False),
        (RULES, "other", None, "public.news", True),
        (RULES, "other", None, "public.prices", False),
        (TenantRules({"acme": ("*",)}), "other", None, "orders", False),
        (RULES, None, None, "billing", True),
        (STRICT, None, None, "orders", False),
        (STRICT, "acme", None, "orders", True),
    ],
)
def test_who_sees_which_topic(
    rules: TenantRules, tenant: str | None, asks: list[str] | None, topic: str, gets: bool
) -> None:
    """What a subscription asks for, cut to what its tenant may see: the matcher, the index and what
    `trace` says agree."""
    fields: dict[str, Any] = {"match": {} if asks is None else {"topics": asks}}
    if tenant is not None:
        fields["tenant"] = tenant
    one = entry("a", **fields)
    found = Matcher(tenants=rules)
    found.put(one)
    happened = event(1, topic=topic)
    assert bool(found.match(happened)) is gets
    assert (explain(happened, one, rules) is None) is gets


def test_trace_names_the_tenant_and_what_it_may_see() -> None:
    """The objection says that it is the tenant's limit, and not the document's condition."""
    one = entry("a", tenant="acme")
    said = str(explain(event(1, topic="billing"), one, RULES))
    assert said == "tenant: acme may see orders, public.*; the event has topic billing"
    said = str(explain(event(1, topic="orders"), entry("a"), STRICT))
    assert said.startswith("tenant: a subscription without a tenant may see no topic; ")


def test_a_document_of_another_tenant_is_judged_anew() -> None:
    """The same conditions under another tenant see something else."""
    found = Matcher(tenants=RULES)
    found.put(entry("a", tenant="acme"))
    assert found.match(event(1, topic="orders"))
    found.put(entry("a", 1, tenant="other"))
    assert not found.match(event(2, topic="orders"))


def test_an_event_looks_only_at_those_whose_tenant_may_see_it() -> None:
    """Of 1,000 tenants with a topic each, an event's candidates are those of one."""
    index = ProbeIndex()
    for number in range(1000):
        match = entry("a").subscription.match
        index.put(f"s{number}", alternatives_of(match, (f"t{number}.*",)))
    assert index.candidates("t7.orders", {"type": "x"}) == {"s7"}


@pytest.mark.parametrize(
    ("rules", "document", "faults"),
    [
        (RULES, given("a", "acme", "orders", "public.*", "*"), []),
        (
            RULES,
            given("a", "acme", "orders", "billing"),
            [f"a.yaml: {NOT_BILLING}"],
        ),
        (
            RULES,
            given("a", "none"),
            ["a.yaml: tenant: none may see no topic here (HOOKLANE_TENANTS__TOPICS)"],
        ),
        (
            STRICT,
            given("a", None),
            ["a.yaml: tenant: is required here (HOOKLANE_TENANTS__REQUIRED)"],
        ),
        (RULES, given("a", None, "billing"), []),
    ],
)
def test_documents_are_judged_by_what_their_tenant_may_see(
    rules: TenantRules, document: Given, faults: list[str]
) -> None:
    """`validate` and `apply` refuse an exact topic that is not the tenant's, with the field's path;
    `list` says the same of what is in force all the same."""
    if faults:
        with pytest.raises(RefusedError) as refused:
            validated([document], POLICY, rules)
        assert list(refused.value.faults) == faults
    else:
        assert validated([document], POLICY, rules)
    [row] = subscription_rows(book(document), rules)
    assert row["note"] == "; ".join(faults).replace("a.yaml: ", "")


@pytest.mark.parametrize(
    ("there", "wanted", "prune", "refused"),
    [
        ([], [given("a", "acme"), given("b", "acme")], False, False),
        ([], [given("a", "acme"), given("b", "acme"), given("c", "acme")], False, True),
        ([given("a", "acme"), given("b", "acme")], [given("c", "acme")], False, True),
        ([given("a", "acme"), given("b", "acme")], [given("c", "acme")], True, False),
        ([given("a", "acme"), given("b", "acme")], [given("c", "other")], False, False),
        ([given("a", "acme"), given("b", "acme"), given("c", "x")], [given("c", "acme")], False, 1),
        ([given(one, "acme") for one in "abc"], [given("a", "acme", "orders")], False, False),
        ([given(one, "other") for one in "abc"], [given("d", "other")], False, True),
        ([given(one, None) for one in "abc"], [given("d", None)], False, False),
    ],
)
def test_a_quota_of_subscriptions_is_kept_by_apply(
    there: list[Given], wanted: list[Given], prune: bool, refused: bool
) -> None:
    """One more than the tenant may have is refused; what is there can be changed and pruned."""
    rules = TenantRules(quotas={"acme": Quota(subscriptions=2), "*": Quota(subscriptions=3)})
    found, documents = book(*there), validated(wanted, POLICY, rules)
    steps = plan_apply(documents, found, datetime(2026, 11, 1, tzinfo=UTC), lambda: "u")
    surplus = plan_prune(documents, found) if prune else []
    if refused:
        with pytest.raises(UsageError, match=r"^tenant: \w+ would have \d subscriptions"):
            check_quotas(steps, surplus, found, rules)
    else:
        check_quotas(steps, surplus, found, rules)


@pytest.mark.parametrize(("topic", "comes_again"), [("orders", True), ("billing", False)])
def test_a_replay_brings_nothing_that_the_tenant_may_not_see(topic: str, comes_again: bool) -> None:
    """Past events are matched under the limits of today."""
    one = entry("a", tenant="acme")
    selection = ReplaySelection("a", "u", topic, "T", ALWAYS, None, False, False)
    replay = Replay("run", one, "group", selection, RULES)
    judged = replay.judge(SourceRecord(topic, "T", 0, 1, 1_000, b"k", b"{}", ()), 0)
    assert isinstance(judged, DeliveryTask) is comes_again
    assert comes_again or judged is Passed.UNMATCHED


def test_a_tenants_subscriptions_are_those_in_force() -> None:
    """`--tenant` means the documents of now; a tenant without any is told."""
    found = book(given("a", "acme"), given("b", "globex"), given("c", "acme"), given("d", None))
    assert of_tenant(found, "acme") == {"a", "c"}
    with pytest.raises(UsageError, match="no subscription of tenant initech"):
        of_tenant(found, "initech")


def test_settings_become_rules() -> None:
    """JSON objects in the environment; the quota is shown as it was written."""
    quotas = '{"acme": {"subscriptions": 10, "max_in_flight": 4, "rate_limit": "100/s"}}'
    settings = load_settings(
        None,
        {
            "HOOKLANE_TENANTS__TOPICS": '{"acme": ["orders.*"], "*": []}',
            "HOOKLANE_TENANTS__QUOTAS": quotas,
            "HOOKLANE_TENANTS__REQUIRED": "true",
        },
    )
    rules = tenants_from(settings)
    assert rules.topics_of("acme") == ("orders.*",)
    assert rules.topics_of("other") == rules.topics_of(None) == ()
    assert rules.quota_of("acme").max_in_flight == 4
    assert rules.quota_of("other") == rules.quota_of(None) == Quota()
    assert shown(settings.tenants.quotas) == json.loads(quotas)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TOPICS", '{"A b": ["x"]}', "'A b' is no tenant"),
        ("TOPICS", '{"a": ["x y"]}', "'x y' is no topic nor a glob of topics"),
        ("TOPICS", '["a"]', "HOOKLANE_TENANTS__TOPICS is wrong"),
        ("QUOTAS", '{"a": {"max_in_flight": 0}}', "greater than or equal to 1"),
        ("QUOTAS", '{"a": {"rate_limit": "many"}}', "'many' is not a rate"),
        ("QUOTAS", '{"a": {"connections": 1}}', r"\[a\]\[connections\] is wrong"),
    ],
)
def test_wrong_settings_are_named(name: str, value: str, said: str) -> None:
    """A tenant, a topic or a quota that cannot be meant stops the start."""
    with pytest.raises(SettingsError, match=said):
        load_settings(None, {f"HOOKLANE_TENANTS__{name}": value})


@pytest.mark.parametrize("others", [0, 100])
def test_attempts_and_letters_are_selected_by_a_tenants_subscriptions(others: int) -> None:
    """By their bytes first, where the tenant has few of them, and then by what they say."""
    attempt = an_attempt(lane_id(1), 1, NOW_MS)
    letter = a_letter(lane_id(1), 1, NOW_MS)
    stored = ATTEMPTS.encode(attempt), DEAD_LETTERS.encode(letter)
    assert attempt.subscription == letter.subscription == "billing"
    for name, meant in (("billing", True), ("shipping", False), ("bill", False)):
        among = frozenset({name, *(f"other-{number}" for number in range(others))})
        attempts, letters = AttemptSelection(among=among), LetterSelection(among=among)
        assert not attempts.is_all
        assert not letters.is_all
        assert (attempts.may_hold(stored[0]) and attempts.holds(attempt)) is meant
        assert (letters.may_hold(stored[1]) and letters.holds(letter)) is meant


@pytest.mark.parametrize("command", ["redrive", "purge"])
def test_a_tenant_is_a_selection_and_not_every_one(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--all` beside `--tenant` is refused, as beside any other selection; Kafka is not asked."""
    assert run(["dead-letters", command, "--tenant", "acme", "--all"]) == 2
    assert "--all means every one" in capsys.readouterr().err
    assert run(["dead-letters", command]) == 2
    assert "--tenant" in capsys.readouterr().err
