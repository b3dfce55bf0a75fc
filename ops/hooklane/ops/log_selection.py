"""Which records a command means, and how keys, times and bytes are typed and shown. Pure."""

import base64
import codecs
import heapq
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Generic, TypeAlias, TypeVar

import typer

from hooklane.ops.output import Row
from hooklane.runtime.errors import UsageError
from hooklane.schemas.subscription_values import parse_instant
from hooklane.schemas.topics import Delay

SubscriptionOption: TypeAlias = Annotated[
    str | None, typer.Option("--subscription", "-s", metavar="ID", help="Only this subscription's.")
]
TenantOption: TypeAlias = Annotated[
    str | None, typer.Option("--tenant", metavar="ID", help="Only this tenant's subscriptions.")
]
KeyOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--key", metavar="KEY", help="Only this key's; hex:C3FF for one that is no text."),
]
SinceOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Not older: 2026-11-01T08:00:00Z, or 2h for two hours ago."
    ),
]
UntilOption: TypeAlias = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Older than this time, likewise.")
]
LimitOption: TypeAlias = Annotated[
    int, typer.Option("--limit", metavar="N", min=1, help="At most the newest N.")
]

_HEX: Final = "hex:"

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Window:
    """A time: from `since_ms` to below `until_ms`, in ms since the epoch; None is no bound."""

    since_ms: int | None = None
    until_ms: int | None = None

    def holds(self, at_ms: int) -> bool:
        return (self.since_ms is None or at_ms >= self.since_ms) and (
            self.until_ms is None or at_ms < self.until_ms
        )

    def overlaps(self, other: "Window") -> bool:
        """Whether some time is in both."""
        return not (_is_over(self, other) or _is_over(other, self))


def _is_over(one: Window, before: Window) -> bool:
    """Whether `one` ends before the other begins."""
    if one.until_ms is None or before.since_ms is None:
        return False
    return one.until_ms <= before.since_ms


ALWAYS: Final = Window()

_FEW: Final = 50


def may_name(subscriptions: frozenset[str] | None, value: bytes) -> bool:
    """Whether a record's bytes may name one of these, which are a tenant's; None is any. Of many
    it is not looked for: to read the record is as quick."""
    if subscriptions is None or len(subscriptions) > _FEW:
        return True
    return any(one.encode() in value for one in subscriptions)


def window(since: str | None, until: str | None, now: datetime) -> Window:
    """What `--since` and `--until` mean together.

    Raises:
        UsageError: one is no time, or the first is not before the second.
    """
    found = Window(
        None if since is None else parse_moment("--since", since, now),
        None if until is None else parse_moment("--until", until, now),
    )
    if (
        found.since_ms is not None
        and found.until_ms is not None
        and found.since_ms >= found.until_ms
    ):
        raise UsageError(f"--since {since} is not before --until {until}: exchange them.")
    return found


def parse_moment(option: str, given: str, now: datetime) -> int:
    """A time, or how long ago, in ms since the epoch.

    Raises:
        UsageError: it is neither; `option` is named.
    """
    try:
        return round(now.timestamp() * 1000 - Delay.parse(given).seconds * 1000)
    except ValueError:
        pass
    try:
        return round(parse_instant(given).timestamp() * 1000)
    except ValueError:
        raise UsageError(
            f"{option} {given!r} is no time: write 2026-11-01T08:00:00Z, or 2h for two hours ago."
        ) from None


def moment(at_ms: int | None) -> datetime | None:
    """Milliseconds since the epoch as a time; None also for what no calendar has."""
    if at_ms is None or at_ms < 0:
        return None
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def key_text(key: bytes | None) -> str | None:
    """A key as it is shown and typed: text, or `hex:` and its bytes where it is no text."""
    if key is None:
        return None
    try:
        return key.decode()
    except UnicodeDecodeError:
        return _HEX + key.hex()


def typed_keys(given: str | None) -> frozenset[bytes] | None:
    """The keys that somebody who types this may mean; None for any key, also a null one."""
    if given is None:
        return None
    # What was not UTF-8 on the command line comes as surrogates.
    found = {given.encode("utf-8", "surrogateescape")}
    if given.startswith(_HEX):
        with suppress(ValueError):
            found.add(bytes.fromhex(given.removeprefix(_HEX)))
    return frozenset(found)


def content(name: str, data: bytes | None) -> Row:
    """Bytes as two fields: `name` if they are UTF-8 text, else `name`_base64; the other is null."""
    both = {name: None, f"{name}_base64": None}
    if data is None:
        return both
    try:
        return {**both, name: data.decode()}
    except UnicodeDecodeError:
        return {**both, f"{name}_base64": base64.b64encode(data).decode()}


def cut_content(name: str, data: bytes | None) -> Row:
    """Likewise for the beginning of something longer, whose last character may be incomplete."""
    if data is not None:
        with suppress(UnicodeDecodeError):
            data = codecs.getincrementaldecoder("utf-8")().decode(data).encode()
    return content(name, data)


class Newest(Generic[K, V]):
    """The `limit` newest of what was added, each id once. Holds at most twice as many.

    Of two with one id the one that was added later counts.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._found: dict[K, tuple[int, V]] = {}
        self.left_out = False

    def add(self, name: K, at_ms: int, value: V) -> None:
        self._found.pop(name, None)
        self._found[name] = (at_ms, value)
        if len(self._found) >= 2 * self._limit + 1:
            self._prune()

    def oldest_first(self) -> list[V]:
        self._prune()
        return [value for _, value in sorted(self._found.values(), key=lambda one: one[0])]

    def _prune(self) -> None:
        if len(self._found) > self._limit:
            self.left_out = True
            # Of one time the later ones are newer, and stay in the order in which they came.
            kept = heapq.nlargest(
                self._limit, enumerate(self._found.items()), key=lambda one: (one[1][1][0], one[0])
            )
            self._found = dict(item for _, item in sorted(kept, key=lambda one: one[0]))
