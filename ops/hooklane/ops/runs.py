"""Runs: redrives and replays, which take long and may be cut off. Pure.

A run has an id of its own; its tasks stand in lanes of that run (rule 12 of the lane protocol).
The audit has a record when it begins, and one when it is done or was interrupted. The same command
again goes on with the run that was not done, so that the order within each key holds across the
interruption too; what a run has written is known by records of the same transactions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hooklane.ops.log_selection import Window
from hooklane.runtime.errors import UsageError
from hooklane.schemas.records_operator import AuditRecord, AuditState

REMEMBERED_MS: Final = 30 * 86_400_000
"""A run that was begun before that is not gone on with."""

ABSOLUTE: Final = "_ms"
"""How names of a selection end that are not as they were typed: `since_ms` of `since` 2h."""


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run as the audit has it. `count`: what its last record says."""

    id: str
    action: str
    state: AuditState
    selection: Mapping[str, str]
    begun_ms: int
    by: str
    count: int

    @property
    def is_done(self) -> bool:
        return self.state is AuditState.DONE


class RunBook:
    """The runs of the audit; it is told record by record, in their order."""

    def __init__(self, records: Iterable[AuditRecord] = ()) -> None:
        self._runs: dict[str, KnownRun] = {}
        for record in records:
            self.read(record)

    def read(self, record: AuditRecord) -> None:
        """An action of one record is no run; passing it over costs nothing."""
        before = self._runs.get(record.id)
        if before is None and record.state is not AuditState.BEGUN:
            return
        if before is not None and before.is_done:
            return
        self._runs[record.id] = KnownRun(
            record.id,
            record.action,
            record.state,
            record.selection if before is None else before.selection,
            record.at_ms if before is None else before.begun_ms,
            record.by,
            record.count,
        )

    def named(self, run: str, action: str) -> KnownRun:
        """The run of this id.

        Raises:
            UsageError: there is none.
        """
        found = self._runs.get(run)
        if found is None or found.action != action:
            raise UsageError(
                f"There is no run {run} of `hooklane {action}`: `hooklane audit --action "
                f"{action!r}` shows those of the last 30 days."
            )
        return found

    def unfinished(self, action: str, asked: Mapping[str, str]) -> KnownRun | None:
        """The newest run of the same command that is not done; times are compared as typed."""
        return self._newest(
            one
            for one in self._of(action)
            if not one.is_done and as_typed(one.selection) == as_typed(asked)
        )

    def overlapping(self, action: str, selection: Mapping[str, str]) -> KnownRun | None:
        """The newest run that is done and was about the same, of times that overlap these."""
        times = window_of(selection)
        return self._newest(
            one
            for one in self._of(action)
            if one.is_done
            and _beside_times(one.selection) == _beside_times(selection)
            and window_of(one.selection).overlaps(times)
        )

    def _of(self, action: str) -> Iterable[KnownRun]:
        return (one for one in self._runs.values() if one.action == action)

    @staticmethod
    def _newest(runs: Iterable[KnownRun]) -> KnownRun | None:
        return max(runs, key=lambda one: one.begun_ms, default=None)


def as_typed(selection: Mapping[str, str]) -> Mapping[str, str]:
    """What of a selection was typed."""
    return {name: value for name, value in selection.items() if not name.endswith(ABSOLUTE)}


def window_of(selection: Mapping[str, str]) -> Window:
    """The times of a run, from when it was begun."""
    since, until = selection.get("since_ms"), selection.get("until_ms")
    return Window(None if since is None else int(since), None if until is None else int(until))


def _beside_times(selection: Mapping[str, str]) -> Mapping[str, str]:
    resolved = {name.removesuffix(ABSOLUTE) for name in selection if name.endswith(ABSOLUTE)}
    return {name: value for name, value in as_typed(selection).items() if name not in resolved}


class RunPace:
    """How fast a run may go. Pure: the caller brings the monotonic time in seconds.

    Nothing is saved up: what was slow is not made good by a burst.
    """

    def __init__(self, count: int, per_s: float) -> None:
        self._interval_s = per_s / count
        self._next = 0.0

    @property
    def at_once(self) -> int:
        """How many may go together: a quarter of a second's worth, at least one."""
        return max(1, round(0.25 / self._interval_s))

    def wait_s(self, now: float) -> float:
        """Seconds until more may go."""
        return max(0.0, self._next - now)

    def gone(self, count: int, now: float) -> None:
        """So many go at `now`."""
        self._next = max(self._next, now) + count * self._interval_s
