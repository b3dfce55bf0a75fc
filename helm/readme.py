"""The chart's README.md: introduction.md, and a table of every key."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from helm.documented import Key

_INTRODUCTION = Path(__file__).parent / "hooklane" / "introduction.md"
_LONGEST = 60


def page(keys: Iterable[Key]) -> str:
    """The whole page."""
    return "\n".join(_lines(keys)) + "\n"


def _lines(keys: Iterable[Key]) -> Iterator[str]:
    yield "<!-- Made by `python -m helm.generate` from values.yaml and introduction.md. -->"
    yield _INTRODUCTION.read_text().rstrip()
    grouped = list(keys)
    yield from ("", "## Values", "")
    yield from _table(key for key in grouped if not key.children)
    for key in grouped:
        if key.children:
            yield from ("", f"### {key.name}", "")
            if key.text:
                yield from (key.text, "")
            yield from _table(key.leaves())


def _table(keys: Iterable[Key]) -> Iterator[str]:
    yield from ("| key | default | meaning |", "|---|---|---|")
    for key in keys:
        default = json.dumps(key.default, ensure_ascii=False)
        shown = f"`{default}`" if len(default) <= _LONGEST else "see values.yaml"
        cells = (f"`{key.name}`", shown, key.text)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
