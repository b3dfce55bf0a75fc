"""The folder of schemas, as the commands find it, and one type of it by its name."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from hooklane.ops.command import settings_of
from hooklane.runtime.errors import CatalogError, UsageError
from hooklane.schemas.event_types import EventType, EventTypes, EventTypesError
from hooklane.schemas.event_types_read import judge_event_types, read_event_types

SchemasOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--schemas", metavar="DIR", help="Folder of schemas; else the setting's."),
]
_SETTING = "HOOKLANE_EVENTS__SCHEMAS_DIR"


def schemas_folder(context: typer.Context, given: Path | None) -> Path:
    """The folder that was given, else the one in the settings.

    Raises:
        UsageError: neither names one.
    """
    folder = given or settings_of(context).events.schemas_dir
    if folder is None:
        raise UsageError(f"Name the folder of schemas by --schemas, or by {_SETTING}.")
    return folder


def read_types(folder: Path) -> EventTypes:
    """Raises CatalogError: the folder or a file cannot be used."""
    try:
        return read_event_types(folder)
    except EventTypesError as error:
        raise CatalogError(f"{error}.") from error


def judge_types(folder: Path) -> tuple[EventTypes, list[str]]:
    """The types that can be used, and why the others cannot, a sentence each.

    Raises:
        CatalogError: there is no such folder.
    """
    try:
        types, faults = judge_event_types(folder)
    except EventTypesError as error:
        raise CatalogError(f"{error}.") from error
    return types, list(map(str, faults))


def type_named(types: EventTypes, name: str) -> EventType:
    """The type of this name.

    Raises:
        UsageError: there is none; the text names those that are like it.
    """
    found = types.get(name)
    if found is None:
        raise UsageError(unknown(name, [one.name for one in types]))
    return found


def unknown(name: str, names: Iterable[str]) -> str:
    """There is no such type; those that look like it, or the first few."""
    known = sorted(names)
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"There is no event type {name}; did you mean {' or '.join(near)}?"
    if not known:
        return f"There is no event type {name}: the folder of schemas is empty."
    more = f" and {len(known) - 5} more" if len(known) > 5 else ""
    return f"There is no event type {name}; there are {', '.join(known[:5])}{more}."
