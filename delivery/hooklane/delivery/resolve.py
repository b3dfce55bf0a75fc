"""From a target to the addresses that may be dialled: looked up once, each one judged."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hooklane.delivery.exchange import Fault, FaultKind
from hooklane.delivery.guard import Guard
from hooklane.delivery.target import Address, Target

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""A name's numeric addresses, best first. Raises OSError (as `socket.gaierror`)."""

_NAMES: Final = 4096


@dataclass(frozen=True, slots=True)
class _Answer:
    until: float
    result: Sequence[str] | Fault


class Resolver:
    """Looks names up, one question at a time for a name, and remembers answers for a short time.

    `keep_s` for good answers, `keep_failure_s` for failures, both in seconds. What is remembered
    are the addresses; they are judged each time, and who dials gets addresses, never a name.
    """

    def __init__(
        self, guard: Guard, lookup: Lookup, *, keep_s: float = 10.0, keep_failure_s: float = 1.0
    ) -> None:
        self._guard = guard
        self._lookup = lookup
        self._keep_s = keep_s
        self._keep_failure_s = keep_failure_s
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Sequence[str] | Fault]] = {}

    async def addresses(self, target: Target) -> tuple[Address, ...] | Fault:
        """Where `target` may be dialled, never empty; or why nowhere."""
        refusal = self._guard.target(target)
        if refusal is not None:
            return refusal
        if target.literal is not None:
            return self._guard.choose((str(target.literal),))
        found = await self._found(target.name)
        return found if isinstance(found, Fault) else self._guard.choose(found)

    def refusal(self, target: Target) -> Fault | None:
        """Why it may not be tried at all, by its scheme and port."""
        return self._guard.target(target)

    async def unjudged(self, name: str) -> Sequence[str] | Fault:
        """A name's addresses, for what the settings themselves name."""
        return await self._found(name)

    def close(self) -> None:
        """Stop waiting for answers."""
        for task in self._asking.values():
            task.cancel()

    async def _found(self, name: str) -> Sequence[str] | Fault:
        loop = asyncio.get_running_loop()
        known = self._answers.get(name)
        if known is not None and loop.time() < known.until:
            self._answers.move_to_end(name)
            return known.result
        task = self._asking.get(name)
        if task is None:
            task = loop.create_task(self._ask(name))
            self._asking[name] = task
        # One who waits may be cancelled; the question goes on for the others and for the memory.
        return await asyncio.shield(task)

    async def _ask(self, name: str) -> Sequence[str] | Fault:
        result: Sequence[str] | Fault
        try:
            result = await self._lookup(name)
        except (OSError, UnicodeError) as error:
            result = Fault(FaultKind.DNS, f"{name} cannot be looked up: {_cause(error)}")
        finally:
            self._asking.pop(name, None)
        keep = self._keep_failure_s if isinstance(result, Fault) else self._keep_s
        self._answers[name] = _Answer(asyncio.get_running_loop().time() + keep, result)
        self._answers.move_to_end(name)
        if len(self._answers) > _NAMES:
            self._answers.popitem(last=False)
        return result


def _cause(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
