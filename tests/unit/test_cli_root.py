"""The command `hooklane`: its listing, its errors, its exit codes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import typer

from hooklane.ops import main
from hooklane.ops.cli_doc import page
from hooklane.ops.command import command_group, explain, settings_of, single_command
from hooklane.ops.main import COMMANDS, CommandModule
from hooklane.runtime.errors import BrokerError, SettingsError, UsageError
from hooklane.schemas.version import __version__

HOOKLANE = [sys.executable, "-m", "hooklane.ops.main"]


def call(*arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HOOKLANE, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": "80", **environ},
    )


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads a hooklane.toml that happens to lie about."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., None]], None]:
    """Gives a function that makes another one the command `boom`."""

    def install(act: Callable[..., None]) -> None:
        module = ModuleType("boom_module")
        module.app = single_command()  # type: ignore[attr-defined]
        module.app.command("boom", help=explain("Fail.", example="hooklane boom"))(act)
        monkeypatch.setitem(sys.modules, "boom_module", module)
        monkeypatch.setattr(main, "COMMANDS", (CommandModule("boom", "boom_module", "Fail."),))

    return install


def failing(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def test_help_lists_every_command() -> None:
    """Each command of the table is in `--help` with its line, an example and exit codes beside."""
    done = call("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for one in COMMANDS:
        assert f"  {one.name} " in done.stdout
        assert one.purpose in done.stdout
    assert "Example:\n    hooklane topics apply\n" in done.stdout
    assert "Exit codes: 0 done" in done.stdout


def test_help_imports_no_command() -> None:
    """The listing is made from the table alone, so that it and completion are quick."""
    code = (
        "import sys; from hooklane.ops.main import run; run(['--help']);"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " {'confluent_kafka', 'pydantic', 'structlog', 'starlette', 'cryptography', 'rich'}],"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "No such command 'nope'"),
        (["topcs"], "Did you mean 'topics'?"),
        (["--nope"], "No such option"),
        (["config", "show", "--output", "xml"], "--output"),
        (["--config", "missing.toml", "config", "show"], "missing.toml that --config names"),
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], said: str) -> None:
    """What was typed wrong is named on stderr, and stdout stays empty."""
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version() -> None:
    """`--version` prints the distribution's."""
    assert call("--version").stdout == f"hooklane {__version__}\n"


def test_a_wrong_setting_exits_2() -> None:
    """A mistake in the environment is one sentence."""
    done = call("config", "show", HOOKLANE_KAFKA__BOOTSTRAP_SERVRS="x")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: HOOKLANE_KAFKA__BOOTSTRAP_SERVRS is not a setting")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [(BrokerError("Down."), 1), (UsageError("Wrong."), 2), (SettingsError("Off."), 2)],
)
def test_our_errors_are_one_sentence(
    error: Exception,
    code: int,
    command: Callable[[Callable[..., None]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A HooklaneError is shown as it is, with its own exit code and no traceback."""
    command(failing(error))
    assert main.run(["boom"]) == code
    assert capsys.readouterr() == ("", f"Error: {error}\n")


def test_an_unexpected_error_says_how_to_see_more(
    command: Callable[[Callable[..., None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A defect is a short sentence; `--debug` shows its traceback."""
    command(failing(ZeroDivisionError("oh")))
    assert main.run(["boom"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: Unexpected error (ZeroDivisionError: oh)")
    assert said.endswith("`hooklane --debug ...` shows where.\n")
    assert len(said.splitlines()) == 1
    assert main.run(["--debug", "boom"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_exits_130(
    command: Callable[[Callable[..., None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C is no error to be explained."""
    command(failing(KeyboardInterrupt()))
    assert main.run(["boom"]) == 130
    assert capsys.readouterr().out == ""


def test_what_a_stranger_wrote_moves_no_cursor(
    command: Callable[[Callable[..., None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Control characters in an error's text are shown, not obeyed."""
    command(failing(BrokerError("bad \x1b[2Jname")))
    main.run(["boom"])
    assert "\x1b" not in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """`hooklane config show | true` ends quietly."""
    with subprocess.Popen(
        [*HOOKLANE, "config", "show"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
        process.wait(timeout=30)
    assert said == ""


def test_commands_get_the_file_of_the_root_option(
    command: Callable[[Callable[..., None]], None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """`--config` before the command is what `settings_of` reads."""
    (tmp_path / "my.toml").write_text("[http]\nport = 4711\n")

    def show(context: typer.Context) -> None:
        typer.echo(settings_of(context).http.port)

    command(show)
    assert main.run(["--config", "my.toml", "boom"]) == 0
    assert capsys.readouterr().out == "4711\n"


def test_a_group_with_one_command_stays_a_group() -> None:
    """`hooklane config show` keeps its name while config has no other command."""
    app = command_group("Purpose.", example="hooklane only")
    app.command("only")(lambda: None)
    assert set(getattr(typer.main.get_command(app), "commands", ())) == {"only"}


def test_the_page_of_commands_is_up_to_date() -> None:
    """docs/cli.md is what hooklane.ops.cli_doc makes, with a section for every command."""
    written = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    assert written == page(), "run: python -m hooklane.ops.cli_doc docs/cli.md"
    assert all(f"### hooklane {one.name}\n" in written for one in COMMANDS)
