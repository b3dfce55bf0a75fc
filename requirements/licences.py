"""Writes docs/licences.md: `python requirements/licences.py docs/licences.md`.

The licence of each package of the image, as the package itself says it. To be run where they are
installed, such as in .venv/check.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path

SERVICES = Path(__file__).parent / "services.txt"
_HEAD = """\
# Licences of what Hooklane runs with

<!-- Made by `python requirements/licences.py docs/licences.md`: change the pins instead. -->

Hooklane itself is under the Apache License 2.0. The packages of its services and of its image, and
what each says of itself:

| package | version | licence |
|---|---|---|
"""
_CLASSIFIER = "License :: OSI Approved :: "


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows())


def rows() -> Iterator[tuple[str, str, str]]:
    """Name, version and licence of each pin."""
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", SERVICES.read_text(), re.MULTILINE):
        yield name, version, licence(name)


def licence(name: str) -> str:
    """By its expression, else its classifiers, else the first line of its free text."""
    said = metadata(name)
    [expression] = said.get_all("License-Expression") or [""]
    classifiers = [
        one.removeprefix(_CLASSIFIER)
        for one in said.get_all("Classifier") or ()
        if one.startswith(_CLASSIFIER)
    ]
    text = "\n".join(said.get_all("License") or ()).strip().splitlines()
    return expression or ", ".join(classifiers) or (text[0] if text else "not said")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
