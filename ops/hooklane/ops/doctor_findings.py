"""What `hooklane doctor` finds, and how it is judged and shown. Pure."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hooklane.ops.output import Column, Row


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, and somebody should know."""
    WRONG = "wrong"
    """Events are not delivered, or will not be."""
    SKIPPED = "skipped"
    """It could not be asked, since something before it is wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`check`: a word; `subject`: what it is about; `said`: what was found, `todo`: what to do,
    both without a full stop; the latter is empty where there is nothing to do."""

    check: str
    subject: str
    status: Status
    said: str
    todo: str = ""


FIELDS: Final = ("check", "subject", "status", "said", "todo")
COLUMNS: Final = (
    Column("status"),
    Column("check"),
    Column("subject"),
    Column("said", "found"),
    Column("todo", "what to do"),
)
SLACK_MS: Final = 5_000
"""Clocks that differ by less are well: due times have tiers of seconds."""
MUCH_LAG: Final = 10_000
SHOWN: Final = 5
"""Partitions that are named one by one."""
LITTLE_ROOM: Final = 2**30
NO_ROOM: Final = 64 * 2**20


def finding_row(finding: Finding) -> Row:
    return {
        "check": finding.check,
        "subject": finding.subject,
        "status": finding.status.value,
        "said": finding.said,
        "todo": finding.todo or None,
    }


def is_wrong(findings: Iterable[Finding]) -> bool:
    return any(one.status is Status.WRONG for one in findings)


def unreachable(servers: str, said: str, certificate: str | None) -> Finding:
    """Kafka gave no answer, in the words of librdkafka; what is meant by them.

    `certificate`: what is wrong with the broker's, where somebody has looked.
    """
    met = _MET.search(said)
    words = said.rstrip(".") if met is None else met[1]
    if certificate is not None:
        words = certificate
    text = words.lower()
    for needle, meaning, todo in _MEANINGS:
        if needle in text:
            return Finding("broker", servers, Status.WRONG, f"{meaning} ({words})", todo)
    return Finding("broker", servers, Status.WRONG, f"nobody answers ({words})", _ADDRESS)


_MET: Final = re.compile(r" \((.+)\): check HOOKLANE_KAFKA")
_ADDRESS: Final = (
    "see whether a broker listens at HOOKLANE_KAFKA__BOOTSTRAP_SERVERS, with the security.protocol "
    "of HOOKLANE_KAFKA__PROPERTIES"
)
_UNTRUSTED: Final = "the broker's certificate is not trusted here"
_AUTHORITY: Final = "name its authority by ssl.ca.location in HOOKLANE_KAFKA__PROPERTIES"
_UNKNOWN_USER: Final = "the broker does not take the user"
_USER_TODO: Final = (
    "see sasl.mechanisms, sasl.username and sasl.password in HOOKLANE_KAFKA__PROPERTIES"
)
_MEANINGS: Final = (
    ("certificate has expired", "the broker's certificate has expired", "renew it"),
    (
        "mismatch",
        "the broker's certificate is of another host",
        "name the broker in HOOKLANE_KAFKA__BOOTSTRAP_SERVERS as its certificate does",
    ),
    ("issuer", _UNTRUSTED, _AUTHORITY),
    ("self-signed", _UNTRUSTED, _AUTHORITY),
    ("verif", _UNTRUSTED, _AUTHORITY),
    (
        "ssl",
        "no TLS connection could be made",
        "see whether that listener speaks TLS, and security.protocol in HOOKLANE_KAFKA__PROPERTIES",
    ),
    ("sasl", _UNKNOWN_USER, _USER_TODO),
    ("authentication", _UNKNOWN_USER, _USER_TODO),
)


def rights(kind: str, name: str, wanted: Collection[str], given: Collection[str] | None) -> Finding:
    """What the user may do with a topic or a group; None: it may not even ask."""
    missing = sorted(set(wanted) - set(given or ()))
    if not missing:
        return Finding("rights", name, Status.OK, f"may {', '.join(sorted(wanted)).lower()}")
    return Finding(
        "rights",
        name,
        Status.WRONG,
        f"may not {', '.join(missing).lower()}",
        f"grant it on {kind} {name} (kafka-acls.sh --add --{kind} {name} "
        f"{' '.join(f'--operation {one.title()}' for one in missing)})",
    )


def clock(newest_ms: Mapping[str, int], now_ms: int) -> Finding:
    """The newest record of each topic, which cannot be of a time to come."""
    topic, at_ms = max(newest_ms.items(), key=lambda one: one[1], default=("", 0))
    ahead_ms = at_ms - now_ms
    if ahead_ms <= SLACK_MS:
        return Finding("clock", "this host", Status.OK, "no record is newer than this host's clock")
    return Finding(
        "clock",
        topic,
        Status.WARNING,
        f"its newest record is {ahead_ms / 1000:.0f} s ahead of this host's clock",
        "synchronise the clocks of this host, the brokers and the publishers (chronyc tracking): "
        "due times and signatures shift by the difference",
    )


def group(
    service: str, name: str, members: int, lag: Mapping[str, int | None]
) -> Iterator[Finding]:
    """Whether a service runs, and how far it is. `lag`: by partition, None: nothing committed."""
    if members == 0:
        yield Finding("groups", name, Status.WRONG, "has no member", f"start `hooklane {service}`")
    else:
        yield Finding("groups", name, Status.OK, f"members: {members}")
    behind = sum(one for one in lag.values() if one is not None)
    if behind > MUCH_LAG:
        worst = max(lag, key=lambda place: lag[place] or 0)
        yield Finding(
            "groups",
            name,
            Status.WARNING,
            f"offsets behind: {behind:,}, most of them in {worst}",
            "see whether it gets on (hooklane_oldest_undelivered_seconds), and start more of it",
        )
    elif lag:
        yield Finding("groups", name, Status.OK, f"offsets behind: {behind:,}")


def ownerless(service: str, name: str, partitions: Sequence[str]) -> Iterator[Finding]:
    """Partitions that no member of a stable group was given, so that nobody works on them."""
    if not partitions:
        return
    more = len(partitions) - SHOWN
    named = ", ".join(partitions[:SHOWN]) + (f" and {more} more" if more > 0 else "")
    yield Finding(
        "groups",
        name,
        Status.WARNING,
        f"partitions without an owner: {named}",
        "look again in a minute, by when a service should have had the group divided anew; "
        f"if they are there still, start one more `hooklane {service}`",
    )


def room(folder: str, free_bytes: int) -> Finding:
    """What is free under the spool."""
    said = f"{free_bytes / 2**30:.1f} GiB are free"
    if free_bytes >= LITTLE_ROOM:
        return Finding("spool", folder, Status.OK, f"can be written, {said}")
    status = Status.WRONG if free_bytes < NO_ROOM else Status.WARNING
    return Finding(
        "spool", folder, status, said, "make room, or name another HOOKLANE_RETRIER__SPOOL_DIR"
    )
