"""Filters in words, for the reason why an event did not match."""

import json
from collections.abc import Iterator
from typing import assert_never

from hooklane.schemas.filters import (
    All,
    Any,
    Cel,
    Exact,
    Filter,
    Not,
    PluginFilter,
    Prefix,
    Suffix,
)


def dialect_of(one: Filter) -> str:
    """The word by which a document names it."""
    return one.dialect if isinstance(one, PluginFilter) else type(one).__name__.lower()


def filter_words(one: Filter) -> str:
    """`{prefix: {subject: eu-}}` as `subject beginning with 'eu-'`."""
    match one:
        case Exact() | Prefix() | Suffix():
            return _comparison_words(one)
        case All(all=inner):
            return f"all of ({'; '.join(map(filter_words, inner))})"
        case Any(any=inner):
            return f"any of ({'; '.join(map(filter_words, inner))})"
        case Not(not_=negated):
            return f"not ({filter_words(negated)})"
        case Cel(cel=text):
            return f"cel ({' '.join(text.split())})"
        case PluginFilter():
            return f"{one.dialect} ({json.dumps(one.options, ensure_ascii=False)})"
        case _:
            assert_never(one)


def _comparison_words(one: Exact | Prefix | Suffix) -> str:
    match one:
        case Exact(exact=wanted):
            verb = "="
        case Prefix(prefix=wanted):
            verb = "beginning with"
        case Suffix(suffix=wanted):
            verb = "ending with"
        case _:
            assert_never(one)
    return " and ".join(f"{name} {verb} {text!r}" for name, text in wanted.items())


def filter_names(one: Filter) -> Iterator[str]:
    """The attributes that a filter compares; those in CEL are not told."""
    match one:
        case Exact(exact=wanted) | Prefix(prefix=wanted) | Suffix(suffix=wanted):
            yield from wanted
        case All(all=inner) | Any(any=inner):
            for part in inner:
                yield from filter_names(part)
        case Not(not_=negated):
            yield from filter_names(negated)
        case Cel() | PluginFilter():
            pass
        case _:
            assert_never(one)


def listed(texts: tuple[str, ...]) -> str:
    """The first ten, and how many more."""
    more = f" and {len(texts) - 10} more" if len(texts) > 10 else ""
    return ", ".join(texts[:10]) + more
