"""The command `hooklane`: its commands, and what a failure looks like.

Only the module of the command that is run is imported: `--help` and shell completion must be
quick, and a broken module must not take the others with it.
"""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from hooklane.ops.command import Invocation, explain, invocation_of
from hooklane.ops.output import notice
from hooklane.runtime.errors import HooklaneError
from hooklane.schemas.version import __version__

INTERRUPTED = 128 + signal.SIGINT


@dataclass(frozen=True, slots=True)
class CommandModule:
    """A command or group: the module that has it as `app`, and its line in `hooklane --help`."""

    name: str
    module: str
    purpose: str


COMMANDS = (
    CommandModule("demo", "hooklane.ops.demo", "Show the whole of Hooklane on this machine."),
    CommandModule("dev", "hooklane.ops.dev", "Run all of it for your own application."),
    CommandModule("topics", "hooklane.ops.topics", "Create and check Hooklane's topics."),
    CommandModule(
        "subscriptions", "hooklane.ops.subscriptions", "Who gets which events: apply, diff, list."
    ),
    CommandModule("secrets", "hooklane.ops.secrets", "Make signing secrets, encrypt secrets."),
    CommandModule("publish", "hooklane.ops.publish", "Publish an event."),
    CommandModule("catalog", "hooklane.ops.catalog", "Event types: pages, OpenAPI, AsyncAPI."),
    CommandModule("trigger", "hooklane.ops.trigger", "Publish a sample of an event type."),
    CommandModule("listen", "hooklane.ops.listen", "Receive webhooks here, verify, print them."),
    CommandModule("fanout", "hooklane.ops.fanout", "Run the fan-out: match events, deliver them."),
    CommandModule("retrier", "hooklane.ops.retrier", "Run the retrier: deliver what waits."),
    CommandModule("outbox", "hooklane.ops.outbox", "Publish the rows of an outbox table."),
    CommandModule("lanes", "hooklane.ops.lanes", "Whose deliveries wait, why; retry, skip."),
    CommandModule("dead-letters", "hooklane.ops.dead_letters", "What was given up, and why."),
    CommandModule("replay", "hooklane.ops.replay", "Deliver past events again, to one."),
    CommandModule("attempts", "hooklane.ops.attempts", "Every HTTP try, and how it ended."),
    CommandModule("trace", "hooklane.ops.trace", "One event's way, and why it has not arrived."),
    CommandModule("doctor", "hooklane.ops.doctor", "Check all that deliveries need; what to do."),
    CommandModule("audit", "hooklane.ops.audit", "What operators did, and why."),
    CommandModule("verify", "hooklane.ops.verify", "Is a signature right, and if not, why."),
    CommandModule("console", "hooklane.ops.console.command", "All of that in a browser."),
    CommandModule("plugins", "hooklane.ops.plugins", "What is installed that extends Hooklane."),
    CommandModule("config", "hooklane.ops.config", "Show the settings."),
)


class Root(TyperGroup):
    """Lists its commands from the table and imports the one that is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._modules = {one.name: one.module for one in COMMANDS}
        for one in COMMANDS:
            self.add_command(TyperCommand(one.name, help=one.purpose, rich_markup_mode=None))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The real command in place of its line in the listing."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and command is not None:
            command = typer.main.get_command(import_module(self._modules[name]).app)
        return name, command, rest


app = typer.Typer(
    name="hooklane",
    cls=Root,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hooklane {__version__}")
        raise typer.Exit


@app.callback(
    help=explain(
        "Turn events in Kafka into webhooks, in order per key.",
        more="Settings come from HOOKLANE_... in the environment or from hooklane.toml; "
        "`hooklane config show` lists them.",
        example="hooklane topics apply\n"
        "hooklane subscriptions apply -f subscriptions.yaml\n"
        "hooklane fanout",
        exits={0: "done", 1: "failed", 2: "wrong usage or setting", 130: "interrupted"},
    )
)
def root(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings file to read.")
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - eager: its callback has already acted
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    context.obj = replace(invocation_of(context), config=config, debug=debug)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given))


def run(arguments: list[str]) -> int:
    """Run one command; its exit code. Every failure is one sentence on stderr."""
    try:
        typed = Invocation(typed=tuple(arguments))
        typer.main.get_command(app).main(arguments, prog_name="hooklane", obj=typed)
        sys.stdout.flush()
    except SystemExit as ended:
        return _flushed(ended.code if isinstance(ended.code, int) else 1)
    except HooklaneError as error:
        _complain(str(error))
        return _flushed(error.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except Exception as error:  # noqa: BLE001 - the last place that can say it in one sentence
        return _unexpected(error, arguments)
    return 0


def _unexpected(error: Exception, arguments: list[str]) -> int:
    if "--debug" in arguments:
        traceback.print_exception(error)
    else:
        kind = f"{type(error).__name__}: " if str(error) else type(error).__name__
        _complain(f"Unexpected error ({kind}{error}); `hooklane --debug ...` shows where.")
    return 1


def _complain(message: str) -> None:
    notice(f"Error: {message}")


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    return code


def _reader_gone() -> int:
    """`hooklane ... | head` ends without a word, also at the interpreter's own last flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


if __name__ == "__main__":
    main()
