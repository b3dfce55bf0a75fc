"""Redrives that a page has begun: one at a time, on a thread, until it is done or stopped."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from hooklane.ops.audit_action import Action
from hooklane.ops.dead_letters_desk import LettersDesk
from hooklane.ops.dead_letters_view import LetterSelection
from hooklane.ops.log_reader import open_reader
from hooklane.ops.output import heard_by
from hooklane.ops.redrive_run import PlannedRedrive, carry_out, nothing_more, planned_redrive
from hooklane.ops.run_progress import Stop
from hooklane.runtime.errors import HooklaneError, UsageError
from hooklane.runtime.settings import Settings
from hooklane.schemas.subscription_values import RateLimit

log = structlog.get_logger()

_REMEMBERED: Final = 50


@dataclass(slots=True)
class RunningRedrive:
    """How far one is. `state`: `reading`, `running`, `done`, `interrupted` or `failed`."""

    name: str
    by: str
    state: str = "reading"
    run: str | None = None
    total: int = 0
    written: int = 0
    said: str = ""
    notices: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    stop: Stop = field(default_factory=Stop)

    @property
    def is_over(self) -> bool:
        return self.state not in {"reading", "running"}

    def advance(self, count: int) -> None:
        self.written += count


class Redrives:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._known: OrderedDict[str, RunningRedrive] = OrderedDict()

    def get(self, name: str) -> RunningRedrive | None:
        return self._known.get(name)

    def counted(self, action: Action, selection: LetterSelection) -> PlannedRedrive:
        """What it would write; nothing is written."""
        with open_reader(self._settings) as reader:
            return planned_redrive(LettersDesk(self._settings, reader), action, selection)

    def begin(
        self, action: Action, selection: LetterSelection, rate: RateLimit | None
    ) -> RunningRedrive:
        """Raises UsageError: another one is under way here."""
        with self._lock:
            for one in self._known.values():
                if not one.is_over:
                    raise UsageError(
                        f"A redrive of {one.by} is under way here: wait for its end, or stop it."
                    )
            found = self._known[action.id] = RunningRedrive(action.id, action.by)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._start(lambda: self._run(found, action, selection, rate))
        return found

    def stop_all(self) -> list[RunningRedrive]:
        """Those that were told to end: what is written stays, and the same redrive goes on."""
        running = [one for one in self._known.values() if not one.is_over]
        for one in running:
            one.stop.ask()
        return running

    @staticmethod
    def _start(work: Callable[[], None]) -> None:
        threading.Thread(target=work, name="redrive", daemon=True).start()

    def _run(
        self,
        found: RunningRedrive,
        action: Action,
        selection: LetterSelection,
        rate: RateLimit | None,
    ) -> None:
        try:
            with heard_by(found.notices.append), open_reader(self._settings) as reader:
                self._written(found, LettersDesk(self._settings, reader), action, selection, rate)
        except HooklaneError as error:
            found.said, found.state = str(error), "failed"
        except Exception as error:
            found.said, found.state = f"A fault: {error!r}.", "failed"
            log.exception("redrive failed", run=found.run)
            raise

    @staticmethod
    def _written(
        found: RunningRedrive,
        desk: LettersDesk,
        action: Action,
        selection: LetterSelection,
        rate: RateLimit | None,
    ) -> None:
        # First: what an earlier process had begun to write is there then, or never.
        desk.writer.open()
        planned = planned_redrive(desk, action, selection)
        found.run, found.total = planned.action.id, len(planned.plan.tasks)
        if planned.goes_on:
            found.notices.append(f"Goes on with run {found.run}, which was not done.")
        if planned.plan.tasks:
            found.state = "running"
            done = carry_out(desk, planned, rate, found.stop, found.advance)
            found.written = done.redriven
            found.said, found.state = done.said, done.state.value
        else:
            nothing_more(desk, planned)
            found.said, found.state = "nothing was left to redrive", "done"
        found.left = {one.value: count for one, count in planned.plan.left.items() if count}
