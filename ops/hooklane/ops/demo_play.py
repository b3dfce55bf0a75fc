"""Plays the demonstration to its end, or to the first Ctrl-C, and says how it went."""

import asyncio
import shlex
import shutil
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from hooklane.ops.demo_shop import CUSTOMERS, PLACED, TOPIC, customer
from hooklane.ops.demo_stage import (
    Stage,
    days_events,
    empty_stage,
    everything_running,
    last_deliveries,
)
from hooklane.ops.demo_tally import Arrival
from hooklane.ops.demo_verdict import judge
from hooklane.ops.demo_view import View, print_line, print_verdict
from hooklane.ops.listen_server import free_port
from hooklane.runtime.shutdown import Shutdown, shutdown_signals, until_one_ends


async def play(view: View, *, keep: bool) -> int:
    """The exit code: 0 all is well, 1 something is off, 128 + the signal that came.

    Raises:
        HooklaneError: something did not start, or a service cannot go on.
    """
    with shutdown_signals() as shutdown:
        story = asyncio.create_task(_story(view, keep=keep))
        asked = asyncio.create_task(shutdown.wait())
        await asyncio.wait((story, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not story.done():
            story.cancel()
            with suppress(asyncio.CancelledError):
                await story
            return _interrupted(shutdown)
        return story.result()


async def _story(view: View, *, keep: bool) -> int:
    visitors = _Visitors()
    stage = empty_stage(visitors.told)
    async with AsyncExitStack() as stack:
        await _shown(view, stage, _day(stage, stack))
        verdict = judge(stage.published, stage.outcomes(), stage.seconds)
        print_verdict(verdict)
        if keep and verdict.passed:
            print_line(_invitation(stage))
            visitors.are_shown = True
            await asyncio.Event().wait()
    return 0 if verdict.passed else 1


async def _day(stage: Stage, stack: AsyncExitStack) -> None:
    """From nothing to the last delivery; what runs then ends with `stack`."""
    publisher = await stack.enter_async_context(everything_running(stage))
    await days_events(stage, publisher)
    await last_deliveries(stage)


async def _shown(view: View, stage: Stage, act: Coroutine[Any, Any, None]) -> None:
    """Carry out `act`, and show the stage meanwhile and once more at the end."""
    with view:
        # A view that fails, for example since nobody reads any more, ends it all.
        await until_one_ends(act, _draw(view, stage))
        view.show(stage)


async def _draw(view: View, stage: Stage) -> None:
    while True:
        view.show(stage)
        await asyncio.sleep(view.every_s)


def _interrupted(shutdown: Shutdown) -> int:
    return 128 + (shutdown.by or 0)


class _Visitors:
    """Prints a line for each request, once the demonstration itself is over."""

    def __init__(self) -> None:
        self.are_shown = False

    def told(self, receiver: str, type_: str, one: Arrival) -> None:
        if self.are_shown:
            signature = "verified" if one.verified else "NOT VERIFIED"
            print_line(f"{receiver:<9}  {type_}  {one.key}  sequence {one.sequence}  {signature}")


def _invitation(stage: Stage) -> str:
    key = customer(CUSTOMERS + 1)
    words = ["publish", TOPIC, "--type", PLACED, "--key", key, "--data", '{"amount": 120}']
    port, program = free_port(), _program()
    document = f'{{"id": "mine", "url": "http://127.0.0.1:{port}/"}}'
    return (
        "\nEverything goes on running until Ctrl-C. In another terminal, subscribe a receiver of "
        "your own,\npublish an event of your own, and look at all attempts:\n\n"
        f"  export HOOKLANE_KAFKA__BOOTSTRAP_SERVERS={stage.bootstrap_servers}\n"
        "  export HOOKLANE_DELIVERY__ALLOW_HTTP=true\n"
        f"  {program} listen --port {port} &\n"
        f"  echo {shlex.quote(document)} | {program} subscriptions apply -f -\n"
        f"  {program} {shlex.join(words)}\n"
        f"  {program} attempts\n\n"
        "What the receivers of the demonstration get comes here:"
    )


def _program() -> str:
    """How this program is called from another terminal."""
    own = Path(sys.argv[0]).resolve()
    if own.name != "hooklane":
        return f"{shlex.quote(sys.executable)} -m hooklane.ops.main"
    found = shutil.which("hooklane")
    known = found is not None and Path(found).resolve() == own
    return "hooklane" if known else shlex.quote(str(own))
