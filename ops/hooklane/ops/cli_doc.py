"""Writes docs/cli.md from the commands' own help.

python -m hooklane.ops.cli_doc docs/cli.md
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from hooklane.ops.main import app

_HEAD: Final = """\
# The command line

<!-- Made by `python -m hooklane.ops.cli_doc docs/cli.md`: change the commands' help instead. -->

One program, `hooklane`. Every listing takes `--output table|json`: JSON is one array on stdout
(with `--follow` one object a line), and everything that is said to a person goes to stderr.
`--config` and `--debug` stand before the command. `hooklane --install-completion` sets up the
shell's completion.
"""


def page() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(app)
    context = _context(root, "hooklane", None)
    return "\n".join([_HEAD, *_sections(root, context, depth=2)])


def _sections(command: Any, context: Any, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    for name in getattr(command, "commands", ()):
        _, found, _ = command.resolve_command(context, [name])
        yield from _sections(found, _context(found, name, context), min(depth + 1, 4))


def _context(command: Any, name: str, parent: Any) -> Any:
    # A fixed width: the page must not depend on the terminal in which it is made.
    settings = {**command.context_settings, "terminal_width": 90}
    return typer.Context(command, info_name=name, parent=parent, **settings)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
