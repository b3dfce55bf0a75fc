"""The Markdown pages against what they speak of."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for page in (
        *ROOT.glob("*.md"),
        *ROOT.glob("*/*.md"),
        *ROOT.glob("helm/*/*.md"),
        *ROOT.glob("docs/*/**/*.md"),
        *ROOT.glob("examples/*/*.md"),
    )
    if not page.relative_to(ROOT).parts[0].startswith(".")
)

_LINK = re.compile(r"(?<!\!)\[[^\]\n]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_TEST = re.compile(r"`((?:unit|integration|conformance|chaos|model)/\w+\.py)::(\w+)`")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = _FENCED.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def links(page: Path) -> Iterator[str]:
    """Relative links, which lead into this repository."""
    for link in _LINK.findall(_FENCED.sub("", page.read_text())):
        if not re.match(r"[a-z]+:", link):
            yield link


def docstrings_of_tests(path: Path) -> dict[str, str]:
    tree = ast.parse(path.read_text())
    functions = (
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    tests = (node for node in functions if node.name.startswith("test_"))
    return {node.name: ast.get_docstring(node) or "" for node in tests}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """A file that is there, and in a page a heading that is there."""
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_is_in_the_index() -> None:
    """docs/README.md leads to each page of docs/."""
    listed = {link.partition("#")[0] for link in links(ROOT / "docs" / "README.md")}
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= listed


def test_the_tests_that_testing_names_exist() -> None:
    """Each file::test of docs/testing.md is a test."""
    named = _TEST.findall((ROOT / "docs" / "testing.md").read_text())
    assert len(named) > 60
    for file, test in named:
        assert test in docstrings_of_tests(ROOT / "tests" / file), f"{file}::{test}"


def rules_named(docstring: str) -> set[str]:
    """The numbers of the rules that a docstring names, one by one, in pairs or as a range."""
    named: set[str] = set()
    for first, to, last in re.findall(r"[Rr]ules? (\d+)(?: (and|to) (\d+))?", docstring):
        named |= {first, last} - {""}
        named |= set(map(str, range(int(first), int(last) + 1))) if to == "to" else set()
    return named


def test_testing_has_tests_for_each_rule() -> None:
    """Every rule of the lane protocol is in the table, and the docstrings of its tests name it."""
    page = (ROOT / "docs" / "testing.md").read_text()
    section = page.split("\n## Rules\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([\w-]+) \| .+? \| (.+) \|$", section, re.MULTILINE)
    told = {rule for rule, _ in rows}
    assert told == {*map(str, range(1, 13)), "Self-fencing", "Membership", "Promise"}
    for rule, tests in rows:
        named = _TEST.findall(tests)
        assert named, rule
        for file, test in named:
            docstring = docstrings_of_tests(ROOT / "tests" / file)[test]
            names_it = rule in (rules_named(docstring) if rule.isdigit() else docstring)
            assert names_it, f"{file}::{test} does not name {rule}"


@pytest.mark.parametrize(("heading", "last"), [("Bad inputs", 40), ("Faults", 25)])
def test_testing_has_a_line_for_each_fault(heading: str, last: int) -> None:
    """Every number from 1 on is in the table, with tests or with what is not yet there."""
    page = (ROOT / "docs" / "testing.md").read_text()
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    told: set[int] = set()
    for numbers, tests, result in re.findall(
        r"^\| ([\d, to]+) \| .*? \| ?(.*?) \| (.+) \|$", section, re.MULTILINE
    ):
        assert _TEST.search(tests) or "not yet" in result, numbers
        for span in numbers.split(", "):
            first, _, end = span.partition(" to ")
            told.update(range(int(first), int(end or first) + 1))
    assert told == set(range(1, last + 1))


# ops has a page of its own, docs/cli.md, which is made from the commands.
@pytest.mark.parametrize(
    "room", ["schemas", "producer", "runtime", "delivery", "fanout", "retrier"]
)
def test_architecture_has_a_line_for_every_module(room: str) -> None:
    """Each module of the room is in its table in docs/architecture.md, and no other."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    section = page.split(f"\n### {room}: ")[1].split("\n### ")[0].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([a-z0-9_/]+)`", row)]
    folder = ROOT / room / "hooklane" / room
    there = {str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.py")}
    assert sorted(named) == sorted(name for name in there if not name.endswith("__init__"))
