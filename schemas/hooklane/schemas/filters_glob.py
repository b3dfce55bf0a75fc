"""Globs for topics and types: `*` is any run of characters, `?` is one; nothing else is special.

A glob costs at most (length of the pattern) x (length of the text) steps: each run between two
stars is found at its leftmost place, once, in an atomic group, and never tried again elsewhere.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

_SPECIAL = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled glob. `prefix` and `suffix` are what every text it takes begins and ends with."""

    text: str
    prefix: str
    suffix: str
    literal: bool
    """No `*` and no `?`: it takes only its own text."""
    _pattern: re.Pattern[str] = field(repr=False, compare=False)

    def takes(self, text: str) -> bool:
        return text == self.text if self.literal else self._pattern.match(text) is not None


@lru_cache(maxsize=8192)
def compile_glob(text: str) -> Glob:
    first = _SPECIAL.search(text)
    last = max(text.rfind("*"), text.rfind("?"))
    runs = [re.escape(run).replace(r"\?", ".") for run in re.split(r"\*+", text)]
    if len(runs) == 1:
        pattern = runs[0]
    else:
        inner = "".join(f"(?>.*?{run})" for run in runs[1:-1])
        pattern = f"{runs[0]}{inner}.*{runs[-1]}"
    return Glob(
        text=text,
        prefix=text if first is None else text[: first.start()],
        suffix=text[last + 1 :],
        literal=first is None,
        _pattern=re.compile(rf"(?s:{pattern})\Z"),
    )
