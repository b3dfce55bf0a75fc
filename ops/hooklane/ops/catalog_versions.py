"""Types that are versions of one another by their names, such as `invoice.paid.v2`. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

_VERSIONED = re.compile(r"(?P<family>.+?)[._/-]?v(?P<major>[0-9]{1,6})", re.IGNORECASE)
_SEPARATED = re.compile(r".*[._/-]v[0-9]{1,6}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Version:
    """A type's name as family and major version; a name without one is a family of its own."""

    name: str
    family: str
    major: int | None


@dataclass(frozen=True, slots=True)
class Family:
    """The versions of one type, the oldest first."""

    name: str
    versions: tuple[Version, ...]


def version_of(name: str) -> Version:
    """`invoice.paid.v2` is version 2 of `invoice.paid`; `invoice.paid` is that without a number."""
    found = _VERSIONED.fullmatch(name) if _SEPARATED.fullmatch(name) else None
    if found is None:
        return Version(name, name, None)
    return Version(name, found["family"], int(found["major"]))


def families(names: Iterable[str]) -> list[Family]:
    """All names, sorted; a name without a version comes before its versions."""
    versions = sorted(map(version_of, names), key=lambda one: (one.family, one.major or -1))
    return [
        Family(family, tuple(those)) for family, those in groupby(versions, key=lambda v: v.family)
    ]
