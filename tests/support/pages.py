"""The project's pages, for tests that do what stands in them."""

import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(text: str, heading: str, language: str) -> list[str]:
    """The fenced blocks of one language in one section (`##`), subsections included."""
    section = text.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    return [found for kind, found in _BLOCK.findall(section) if kind == language]


def every_block(text: str, language: str) -> list[str]:
    return [found for kind, found in _BLOCK.findall(text) if kind == language]


def put_into(text: str, places: Mapping[str, str]) -> str:
    """What is written, with this test's addresses."""
    for written, real in places.items():
        text = text.replace(written, real)
    return text
