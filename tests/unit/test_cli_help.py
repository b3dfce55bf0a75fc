"""Every command and subcommand, as `--help` and the shell's completion show it."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from hooklane.ops.main import app
from tests.support.processes import HOOKLANE

ROOT = Path(__file__).resolve().parents[2]
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLANE_")}


def contexts(command: Any, name: str, parent: Any = None) -> Iterator[Any]:
    """The command and all below it, each with the path by which it is called."""
    settings = {**command.context_settings, "terminal_width": 80}
    context = typer.Context(command, info_name=name, parent=parent, **settings)
    yield context
    for below in getattr(command, "commands", ()):
        _, found, _ = command.resolve_command(context, [below])
        yield from contexts(found, below, context)


ALL: Mapping[str, Any] = {
    one.command_path: one for one in contexts(typer.main.get_command(app), "hooklane")
}
GROUPS = sorted(path for path, one in ALL.items() if getattr(one.command, "commands", None))
LEAVES = sorted(ALL.keys() - set(GROUPS))


def examples(path: str) -> list[str]:
    """The lines of its example, each as it is typed."""
    found = re.search(r"Example:\n((?: {4}.*\n)+)", ALL[path].command.get_help(ALL[path]))
    assert found is not None, path
    return [line.strip() for line in found[1].splitlines()]


def completed(shell: str, words: list[str]) -> set[str]:
    """What the shell is told may come in the place of the last word."""
    asked = {"_HOOKLANE_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        asked |= {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    else:
        asked |= {
            "_TYPER_COMPLETE_ARGS": " ".join(words),
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
    done = subprocess.run(
        [HOOKLANE], env=_CLEAN | asked, capture_output=True, text=True, timeout=60, check=False
    )
    return set(re.findall(r"[\w-]+", done.stdout))


def test_all_commands_are_walked() -> None:
    """What follows is about each of them."""
    assert len(LEAVES) >= 25
    assert {"hooklane", "hooklane lanes", "hooklane subscriptions"} <= set(GROUPS)
    assert {"hooklane demo", "hooklane dev", "hooklane lanes retry"} <= set(LEAVES)


@pytest.mark.parametrize("path", ALL)
def test_what_help_says(path: str) -> None:
    """One line of purpose, an example, the exit codes; and nothing is wider than 80 columns."""
    said = ALL[path].command.get_help(ALL[path])
    usage, purpose = said.split("\n\n")[:2]
    assert usage.startswith(f"Usage: {path} ")
    assert re.fullmatch(r"  [A-Z].*[.]", purpose), purpose
    assert said.index("Example:") < said.index("Exit codes: ") < said.index("Options:")
    assert "0 " in said[said.index("Exit codes: ") :].splitlines()[0]
    assert [line for line in said.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("path", ALL)
def test_an_example_can_be_typed(path: str) -> None:
    """Its words are those of a command there is, with options and arguments that it takes."""
    lines = examples(path)
    assert any(path in line for line in lines), lines
    for line in lines:
        typed(line)


def typed(line: str) -> None:
    """Fails unless it is a line that a command takes."""
    # A pipe before it, or a file behind it, is the shell's.
    words = shlex.split(re.split(r" (?:<|>>) ", line.rpartition(" | ")[2])[0])
    while "=" in words[0]:
        words.pop(0)
    called = max((one for one in ALL if f"{' '.join(words)} ".startswith(f"{one} ")), key=len)
    rest = words[len(called.split()) :]
    command = ALL[called].command
    command.make_context(called, list(rest) or ["--"], parent=ALL[called].parent)


def test_what_the_runbooks_say_can_be_typed() -> None:
    """Whole lines, and commands that stand in the text by their names."""
    page = (ROOT / "docs" / "runbooks.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) > 5
    for line in lines:
        typed(line)
    named = re.findall(r"`(hooklane [a-z][a-z -]*?)(?: --[a-z]+)?`", page)
    assert set(named) <= set(ALL)


@pytest.mark.parametrize("path", GROUPS)
def test_bash_completes_every_name(path: str) -> None:
    """Behind each group come its commands, all and no other."""
    assert completed("bash", [*path.split(), ""]) == set(ALL[path].command.commands)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_completes(shell: str) -> None:
    """Commands, and the options of the one that is typed; without its module's own imports."""
    assert {"topics"} <= completed(shell, ["hooklane", "top"])
    assert {"show"} <= completed(shell, ["hooklane", "config", "s"])
    assert {"--no-receiver", "--kafka"} <= completed(shell, ["hooklane", "dev", "--"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_set_up(shell: str) -> None:
    """The script for the shell is there to be installed."""
    asked = _CLEAN | {"_HOOKLANE_COMPLETE": f"source_{shell}"}
    done = subprocess.run([HOOKLANE], env=asked, capture_output=True, text=True, check=False)
    assert "_HOOKLANE_COMPLETE=complete_" + shell in done.stdout
