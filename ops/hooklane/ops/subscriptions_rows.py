"""Subscriptions as `list` and `show` print them. No secret is in a row. Pure."""

from collections.abc import Iterator
from typing import Any

from hooklane.ops.output import Column, Row
from hooklane.schemas.book import Entry, Finding, SubscriptionBook
from hooklane.schemas.book_status import STATUS_SUFFIX
from hooklane.schemas.subscription_values import instant_text
from hooklane.schemas.tenants import NO_TENANTS, TenantRules

COLUMNS = (
    Column("id"),
    Column("state"),
    Column("url"),
    Column("topics"),
    Column("types"),
    Column("note"),
)


def subscription_rows(book: SubscriptionBook, tenants: TenantRules = NO_TENANTS) -> Iterator[Row]:
    """A row a subscription, by id: what is in force, and what is there but cannot be read."""
    entries = {entry.id: entry for entry in book}
    findings = {finding.key: finding for finding in book.findings()}
    for name in sorted(entries.keys() | findings.keys()):
        yield _row(name, entries.get(name), findings.get(name), tenants)


def _row(name: str, entry: Entry | None, finding: Finding | None, tenants: TenantRules) -> Row:
    subscription = None if entry is None else entry.subscription
    match = None if subscription is None else subscription.match
    return {
        "id": name,
        "state": "bad" if subscription is None else subscription.state.value,
        "tenant": None if subscription is None else subscription.tenant,
        "url": None if subscription is None else subscription.url,
        "topics": None if match is None else list(match.topics or ("*",)),
        "types": None if match is None else list(match.types or ("*",)),
        "offset": None if entry is None else entry.offset,
        "effective_from": None if subscription is None else subscription.effective_from,
        "uid": None if subscription is None else subscription.uid,
        "disabled": disabled_row(entry),
        "bad": finding_row(finding),
        "note": note(entry, finding, tenants),
    }


def note(entry: Entry | None, finding: Finding | None, tenants: TenantRules = NO_TENANTS) -> str:
    """What an operator should know, in one line; empty if there is nothing."""
    said: list[str] = []
    if entry is not None:
        document = entry.subscription
        said += map(str, tenants.faults(document.tenant, document.match.topics))
    if entry is not None and entry.disabled is not None:
        said.append(f"disabled by its receiver: {entry.disabled.reason}")
    if finding is not None:
        fault = str(finding.faults[0])
        stays = "the version before stays in force" if entry is not None else "not in force"
        status = "its status" if finding.key.endswith(STATUS_SUFFIX) else "the record"
        said.append(f"{status} at offset {finding.offset} is bad ({fault}): {stays}")
    return "; ".join(said)


def disabled_row(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None or entry.disabled is None:
        return None
    status = entry.disabled
    return {"reason": status.reason, "at": status.at, "judged_offset": status.judged_offset}


def finding_row(finding: Finding | None) -> dict[str, Any] | None:
    if finding is None:
        return None
    return {
        "offset": finding.offset,
        "unknown_format": finding.unknown_format,
        "faults": [{"path": fault.path, "message": fault.message} for fault in finding.faults],
    }


def show_record(name: str, entry: Entry | None, finding: Finding | None) -> dict[str, Any]:
    """One subscription in full, for JSON."""
    return {
        "id": name,
        "offset": None if entry is None else entry.offset,
        "document": None if entry is None else entry.subscription.shown(),
        "disabled": disabled_row(entry),
        "bad": finding_row(finding),
    }


def show_comments(entry: Entry | None, finding: Finding | None) -> Iterator[str]:
    """What stands beside the document, as lines above its YAML."""
    if entry is not None:
        yield f"config offset {entry.offset}"
        if entry.disabled is not None:
            at = instant_text(entry.disabled.at)
            yield f"disabled by its receiver at {at}: {entry.disabled.reason}"
            yield "`hooklane subscriptions resume` makes it active again"
    if finding is not None:
        yield f"the record at offset {finding.offset} is bad:"
        yield from (f"  {fault}" for fault in finding.faults)
