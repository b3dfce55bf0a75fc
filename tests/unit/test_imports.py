"""The rooms' walls: which room may import which, what may lie where, and how long a module gets."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]

# DESIGN section 8: schemas <- runtime <- delivery <- fanout, retrier <- ops; producer needs
# schemas only. A room may import itself and these.
MAY_IMPORT = {
    "schemas": frozenset[str](),
    "producer": frozenset({"schemas"}),
    "runtime": frozenset({"schemas"}),
    "delivery": frozenset({"schemas", "runtime"}),
    "fanout": frozenset({"schemas", "runtime", "delivery"}),
    "retrier": frozenset({"schemas", "runtime", "delivery"}),
    "ops": frozenset({"schemas", "runtime", "delivery", "fanout", "retrier", "producer"}),
}

LONGEST = 400
MEDIAN = 150


def portion(room: str) -> Path:
    return ROOT / room / "hooklane" / room


def modules() -> list[Path]:
    return sorted(path for room in MAY_IMPORT for path in portion(room).rglob("*.py"))


def imported_rooms(source: str, own: str) -> Iterator[str]:
    """The rooms that a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = _from_names(node, own)
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == "hooklane" and rest:
                yield rest.partition(".")[0]


def _from_names(node: ast.ImportFrom, own: str) -> list[str]:
    if node.level:
        return [f"hooklane.{own}"]
    if node.module == "hooklane":
        return [f"hooklane.{alias.name}" for alias in node.names]
    return [node.module or ""]


def against_the_arrows(source: str, room: str) -> list[str]:
    allowed = MAY_IMPORT[room] | {room}
    return sorted({one for one in imported_rooms(source, room) if one not in allowed})


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_go_with_the_arrows(room: str) -> None:
    """No module of a room imports a room that is not below it, also not inside a function."""
    found = {
        str(path.relative_to(ROOT)): wrong
        for path in portion(room).rglob("*.py")
        if (wrong := against_the_arrows(path.read_text(), room))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("source", "room", "wrong"),
    [
        ("import hooklane.ops.main", "runtime", ["ops"]),
        ("from hooklane.fanout import lanes", "retrier", ["fanout"]),
        ("from hooklane import delivery", "schemas", ["delivery"]),
        ("def late():\n    from hooklane.runtime.kafka import admin", "producer", ["runtime"]),
        ("if TYPE_CHECKING:\n    from hooklane.runtime.errors import E", "schemas", ["runtime"]),
        ("from hooklane.schemas.lane import LaneId", "producer", []),
        ("from hooklane.producer import x", "ops", []),
        ("from .errors import E", "runtime", []),
        ("import hooklane_other, json", "schemas", []),
    ],
)
def test_an_import_against_the_arrows_is_seen(source: str, room: str, wrong: list[str]) -> None:
    """The reader of imports sees every spelling of one, wherever it stands."""
    assert against_the_arrows(source, room) == wrong


def test_the_arrows_have_no_circle() -> None:
    """Each room's allowed rooms allow no more than the room itself does."""
    for room, allowed in MAY_IMPORT.items():
        assert room not in allowed
        for below in allowed:
            assert MAY_IMPORT[below] <= allowed, (room, below)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_holds_one_portion_of_the_namespace(room: str) -> None:
    """A room's folder has hooklane/ and nothing importable beside it; hooklane/ is a namespace."""
    beside = {
        path.name
        for path in (ROOT / room).iterdir()
        if path.name not in {"hooklane", "__pycache__"} and (path.is_dir() or path.suffix == ".py")
    }
    inside = {path.name for path in (ROOT / room / "hooklane").iterdir()} - {"__pycache__"}
    assert beside == set()
    assert inside == {room}
    assert (portion(room) / "py.typed").is_file()
    assert (portion(room) / "__init__.py").is_file()


def test_modules_are_short() -> None:
    """No module is longer than 400 lines, and half of them are under 150."""
    lengths = {path: len(path.read_text().splitlines()) for path in modules()}
    too_long = {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST}
    assert too_long == {}
    written = [n for path, n in lengths.items() if path.name != "__init__.py"]
    assert median(written) < MEDIAN
