"""Judges data by a JSON Schema, where the library for it is installed (extra `validation`).

jsonschema-rs (MIT, wheels for every Python that Hooklane runs on): compiled once a schema, some
microseconds an event, where jsonschema takes a hundred times as long.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from hooklane.schemas.event_types import DataJudge, EventTypesError
from hooklane.schemas.event_types_fault import MOST_FAULTS, Fault, json_path

try:
    import jsonschema_rs
except ModuleNotFoundError:
    jsonschema_rs = None  # type: ignore[assignment]  # publishers that do not validate lack it

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_judge(schema: Mapping[str, object]) -> DataJudge | None:
    """A judge of data, or None where the library is not installed.

    Raises:
        EventTypesError: it is no JSON Schema 2020-12 that stands by itself; the text begins with
            the place.
    """
    if schema.get("$schema", DIALECT) != DIALECT:
        raise EventTypesError(f"$['$schema']: must be {DIALECT}")
    return None if jsonschema_rs is None else _Judge(schema)


class _Judge:
    def __init__(self, schema: Mapping[str, object]) -> None:
        try:
            jsonschema_rs.meta.validate(schema)
            # The mask keeps the data's values out of what is logged and put into dead letters.
            self._validator = jsonschema_rs.Draft202012Validator(
                dict(schema), validate_formats=True, retriever=_refuse, mask="the value"
            )
        except jsonschema_rs.ValidationError as error:
            raise EventTypesError(f"{json_path(error.instance_path)}: {error.message}") from error
        except jsonschema_rs.ReferencingError as error:
            raise EventTypesError(f"$: {error}") from error

    def faults(self, data: object) -> tuple[Fault, ...]:
        try:
            if self._validator.is_valid(data):
                return ()
            first = islice(self._validator.iter_errors(data), MOST_FAULTS)
            return tuple(Fault(json_path(one.instance_path), one.message) for one in first)
        except ValueError as error:
            return (Fault("$", f"cannot be judged: {error}"[:200]),)


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is outside the file: put what is shared under $defs")
