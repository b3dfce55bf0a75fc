"""values.yaml as what it documents: each key with its default and the comment above it.

A key with a comment is documented as a whole, unless keys below it have comments of their own. What
a comment says of a map belongs to the map.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

VALUES = Path(__file__).parent / "hooklane" / "values.yaml"


@dataclass(frozen=True, slots=True)
class Key:
    """`path` from the root; `text` is empty for a map that only groups; `children` are its keys."""

    path: tuple[str, ...]
    text: str
    default: Any
    children: tuple["Key", ...] = ()

    @property
    def name(self) -> str:
        return ".".join(self.path)

    def leaves(self) -> Iterator["Key"]:
        """What has no documented keys below it."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


def documented(text: str) -> tuple[Key, ...]:
    """Every key of values.yaml, in its order."""
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise TypeError("values.yaml is no map")
    return _keys(root, yaml.safe_load(text), text.splitlines(), ())


def _keys(
    node: yaml.MappingNode, values: Any, lines: Sequence[str], above: tuple[str, ...]
) -> tuple[Key, ...]:
    found = []
    for name, value in node.value:
        path = (*above, name.value)
        below: tuple[Key, ...] = ()
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            below = _keys(value, values[name.value], lines, path)
        if not any(child.text or child.children for child in below):
            below = ()
        comment = _comment_above(lines, name.start_mark.line)
        found.append(Key(path, comment, values[name.value], below))
    return tuple(found)


def _comment_above(lines: Sequence[str], at: int) -> str:
    said: list[str] = []
    while at > 0 and lines[at - 1].strip().startswith("#"):
        at -= 1
        said.insert(0, lines[at].strip().removeprefix("#").strip())
    return " ".join(said)
