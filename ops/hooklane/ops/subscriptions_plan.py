"""What `subscriptions apply` and its kin will write: decided before the first record. Pure."""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never

import yaml

from hooklane.ops.subscriptions_files import Given
from hooklane.runtime.errors import UsageError
from hooklane.schemas.book import Entry, SubscriptionBook
from hooklane.schemas.subscription import Subscription, validate
from hooklane.schemas.subscription_faults import SubscriptionError
from hooklane.schemas.subscription_parts import State
from hooklane.schemas.subscription_values import ServicePolicy
from hooklane.schemas.tenants import NO_TENANTS, TenantRules


class Action(StrEnum):
    """The words that `apply` prints, as kubectl's."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


class RefusedError(UsageError):
    """Documents are bad. `faults` has a line for each fault, with its file and path."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        found = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"The documents have {found}, told above: no document was taken.")


@dataclass(frozen=True, slots=True)
class Step:
    """One subscription: the document given, with its stamps (`wanted`), and what is in force."""

    action: Action
    given: Subscription
    wanted: Subscription
    before: Entry | None


def validated(
    documents: Iterable[Given], policy: ServicePolicy, tenants: TenantRules = NO_TENANTS
) -> list[Subscription]:
    """All of them, or none. What its tenant may not see is a fault of a document here; the services
    take it, and match nothing of that.

    Raises:
        RefusedError: with every fault of every document.
    """
    found: dict[str, Subscription] = {}
    faults: list[str] = []
    for given in documents:
        try:
            subscription = validate(given.document, policy)
        except SubscriptionError as error:
            faults += [f"{given.place}: {fault}" for fault in error.faults]
            continue
        limits = tenants.faults(subscription.tenant, subscription.match.topics)
        faults += [f"{given.place}: {fault}" for fault in limits]
        if subscription.id in found:
            faults.append(f"{given.place}: id: {subscription.id} is there in another document too")
        found[subscription.id] = subscription
    if faults:
        raise RefusedError(faults)
    return list(found.values())


def plan_apply(
    wanted: Iterable[Subscription],
    book: SubscriptionBook,
    now: datetime,
    new_uid: Callable[[], str],
) -> list[Step]:
    """What to do with each. A new id is stamped, a known one keeps its stamps.

    Raises:
        UsageError: a document has another `uid` than the one in force, or would overwrite one that
            a newer version wrote.
    """
    unreadable = {one.key for one in book.findings() if one.unknown_format}
    steps = []
    for one in wanted:
        if one.id in unreadable:
            raise UsageError(
                f"{one.id} was written by a newer version of Hooklane: upgrade this one, or delete"
                " the subscription first."
            )
        before = book.entry(one.id)
        steps.append(_create(one, now, new_uid) if before is None else _configure(one, before))
    return steps


def _create(wanted: Subscription, now: datetime, new_uid: Callable[[], str]) -> Step:
    stamped = wanted.stamped(wanted.effective_from or now, wanted.uid or new_uid())
    return Step(Action.CREATED, wanted, stamped, None)


def _configure(wanted: Subscription, before: Entry) -> Step:
    held = before.subscription
    if wanted.uid not in ("", held.uid):
        raise UsageError(
            f"{wanted.id}: uid: {held.uid or 'none'} is in force and cannot be changed: take it out"
            " of the document, or delete the subscription first."
        )
    stamped = wanted.carrying(held)
    same = stamped.document() == held.document()
    return Step(Action.UNCHANGED if same else Action.CONFIGURED, wanted, stamped, before)


def plan_state(entries: Iterable[Entry], state: State) -> list[Step]:
    """What to do so that each has that state. A document that a 410 disabled is written again to
    become active: a newer document voids the status."""
    steps = []
    for entry in entries:
        voids = state is State.ACTIVE and entry.disabled is not None
        same = entry.subscription.state is state and not voids
        action = Action.UNCHANGED if same else Action.CONFIGURED
        wanted = entry.subscription.in_state(state)
        steps.append(Step(action, wanted, wanted, entry))
    return steps


def plan_prune(wanted: Iterable[Subscription], book: SubscriptionBook) -> list[Entry]:
    """What is in force and in no document, by id: `--prune` deletes it.

    Raises:
        UsageError: one of them was written by a newer version, so nobody here knows what it is.
    """
    kept = {one.id for one in wanted}
    for finding in book.findings():
        if finding.unknown_format and finding.key not in kept:
            raise UsageError(
                f"{finding.key} was written by a newer version of Hooklane: upgrade this one, or"
                " put it into the documents, before you prune."
            )
    return [entry for entry in book if entry.id not in kept]


def check_quotas(
    steps: Iterable[Step], surplus: Iterable[Entry], book: SubscriptionBook, tenants: TenantRules
) -> None:
    """Who gets a subscription by these steps may have so many. One who has too many by now can
    still change and delete them.

    Raises:
        UsageError: a tenant would have more than its quota.
    """
    now = {entry.id: entry.subscription.tenant for entry in book}
    after = {name: now[name] for name in now.keys() - {entry.id for entry in surplus}}
    after |= {step.wanted.id: step.wanted.tenant for step in steps}
    counts = Counter(after.values())
    for tenant in sorted({after[name] or "" for name in after if after[name] != now.get(name)}):
        most = tenants.quota_of(tenant or None).subscriptions
        if most is not None and counts[tenant] > most:
            raise UsageError(
                f"tenant: {tenant} would have {counts[tenant]} subscriptions, and may have {most}: "
                "delete some first, or raise its quota (HOOKLANE_TENANTS__QUOTAS)."
            )


def prune_text(entry: Entry) -> str:
    """The document that goes, as `diff` shows it."""
    lines = _lines(entry.subscription)
    name = entry.id
    return "".join(difflib.unified_diff(lines, [], f"{name} (in force)", f"{name} (deleted)"))


def state_word(step: Step) -> str:
    """What `pause`, `resume` and `disable` print, as kubectl's `rollout pause` does."""
    if step.action is Action.UNCHANGED:
        return step.action.value
    match step.wanted.state:
        case State.ACTIVE:
            return "resumed"
        case State.PAUSED:
            return "paused"
        case State.DISABLED:
            return "disabled"
        case _:
            assert_never(step.wanted.state)


def changed(steps: Iterable[Step]) -> list[Step]:
    """Those that need a record."""
    return [step for step in steps if step.action is not Action.UNCHANGED]


def diff_text(step: Step) -> str:
    """A unified diff of the document in force and the wanted one, as YAML; empty if the same."""
    match step.action:
        case Action.UNCHANGED:
            return ""
        case Action.CREATED | Action.CONFIGURED:
            return _diff(step)
        case _:
            assert_never(step.action)


def _diff(step: Step) -> str:
    name = step.wanted.id
    held = [] if step.before is None else _lines(step.before.subscription)
    # What a new subscription will be stamped with is not known before it is applied.
    wanted = step.given if step.before is None else step.wanted
    lines = list(
        difflib.unified_diff(held, _lines(wanted), f"{name} (in force)", f"{name} (wanted)")
    )
    if not lines:
        return f"--- {name} (in force)\n+++ {name} (wanted)\n# a secret in plain text differs\n"
    return "".join(lines)


def yaml_text(document: object) -> str:
    """A document as people write it."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _lines(subscription: Subscription) -> Sequence[str]:
    return yaml_text(subscription.shown()).splitlines(keepends=True)
