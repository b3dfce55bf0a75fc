"""An event type as the catalog shows it: what receivers get, and what publishers write."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hooklane.ops.catalog_pointer import moved
from hooklane.ops.catalog_versions import Family, families

_OTHERS: Final = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class Sample:
    """`data` as receivers get it. `made`: from the schema, since the type brings no example."""

    data: Any
    made: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One event type.

    `schema`: the JSON Schema of the data that receivers get. `avro`: the schema that publishers
    write by, None where it is the same one. `samples`: at least one, each valid.
    """

    name: str
    title: str
    description: str
    topics: tuple[str, ...]
    key: str
    deprecated: bool
    replaced_by: str | None
    schema: Mapping[str, Any]
    avro: Any
    samples: tuple[Sample, ...]

    @property
    def slug(self) -> str:
        """Its name where only letters, digits, `.`, `-` and `_` may stand."""
        return slug(self.name)

    @property
    def warning(self) -> str:
        """What is said of a type that is on its way out, else nothing."""
        if not self.deprecated:
            return ""
        if self.replaced_by is None:
            return "Deprecated."
        return f"Deprecated: replaced by {self.replaced_by}."

    @property
    def about(self) -> str:
        """The warning and the description."""
        return "\n\n".join(text for text in (self.warning, self.description) if text)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All types. `title` and `release`: what the documents are called, and of which issue."""

    entries: tuple[Entry, ...]
    title: str
    release: str

    def families(self) -> Sequence[Family]:
        return families(one.name for one in self.entries)

    def by_name(self) -> Mapping[str, Entry]:
        return {one.name: one for one in self.entries}

    def topics(self) -> Mapping[str, tuple[Entry, ...]]:
        """The types of each topic that one of them names."""
        names = sorted({topic for one in self.entries for topic in one.topics})
        return {name: tuple(one for one in self.entries if name in one.topics) for name in names}


def slug(name: str) -> str:
    """Letters, digits, `.`, `-` and `_` stay, anything else is `_` and its code."""
    return _OTHERS.sub(lambda found: f"_{ord(found[0]):x}", name)


def component(entry: Entry, at: str) -> dict[str, Any]:
    """The entry's schema, to stand at the pointer `at` of a document."""
    found = dict(moved(entry.schema, at))
    for own in ("$id", "$schema"):  # of a file that it is not any more
        found.pop(own, None)
    about = {"title": entry.title, "description": entry.about}
    found = {**found, **{word: text for word, text in about.items() if text}}
    if entry.deprecated:
        found["deprecated"] = True
    return found


def own_facts(entry: Entry) -> dict[str, Any]:
    """What the documents have no word of their own for."""
    facts = {"topics": list(entry.topics), "key": entry.key, "replaced_by": entry.replaced_by}
    return {word: value for word, value in facts.items() if value}


def duplicate_slugs(names: Iterable[str]) -> list[str]:
    """Names that would have the same page as another one, where upper and lower case are one."""
    seen: dict[str, str] = {}
    return [one for one in names if seen.setdefault(slug(one).lower(), one) != one]
