"""Judges data by a JSON Schema, where the library for it is installed (extra `validation`).

jsonschema-rs (MIT, one wheel for every Python that Hooklane runs on): compiled once a schema, and
half a microsecond for an object of some fifteen values, where jsonschema took 113.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from hooklane.schemas.event_types import DataJudge, EventTypesError
from hooklane.schemas.event_types_fault import MOST_FAULTS, Fault, json_path

try:
    import jsonschema_rs
except ModuleNotFoundError:
    # Publishers that do not validate lack it.
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

_ONLY_INSIDE = "; a $ref leads to what is in the same file, such as #/$defs/line"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_judge(schema: Mapping[str, object]) -> DataJudge | None:
    """A judge of data, or None where the library is not installed.

    Raises:
        EventTypesError: it is no JSON Schema 2020-12 that stands by itself; the text begins with
            the place.
    """
    if schema.get("$schema", DIALECT) != DIALECT:
        raise EventTypesError(f"$['$schema']: must be {DIALECT}")
    return _Judge(dict(schema)) if IS_INSTALLED else None


class _Judge:
    def __init__(self, schema: dict[str, Any]) -> None:
        try:
            jsonschema_rs.meta.validate(schema)
            # The mask keeps the data's values out of what is logged and put into dead letters.
            self._validator = jsonschema_rs.Draft202012Validator(
                schema, validate_formats=True, retriever=_refuse, mask="the value"
            )
        except jsonschema_rs.ValidationError as error:
            inside = (
                _ONLY_INSIDE
                if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Referencing)
                else ""
            )
            place = json_path(error.instance_path)
            raise EventTypesError(f"{place}: {error.message}{inside}") from error
        except jsonschema_rs.ReferencingError as error:
            raise EventTypesError(f"$: {error}{_ONLY_INSIDE}") from error

    def faults(self, data: object) -> tuple[Fault, ...]:
        try:
            if self._validator.is_valid(data):
                return ()
            first = islice(self._validator.iter_errors(data), MOST_FAULTS)
            return tuple(Fault(json_path(one.instance_path), one.message) for one in first)
        except ValueError as error:
            return (Fault("$", f"cannot be judged: {error}"[:200]),)


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not in the file")
