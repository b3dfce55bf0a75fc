"""What is wrong with a subscription document: the field's path and what to write instead.

pydantic's own errors quote what was given, which may be a secret. They end here: a fault is built
from the kind of the error and its place, never from the input.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic_core import ErrorDetails

MOST_FAULTS = 20
"""A document with more faults than this shows the first ones and a count."""

ANY = "*"
"""Stands for a name that the document chooses, in the path of a part."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_QUOTE = 80

_SAID = {
    "missing": "is required",
    "string_type": "must be text (put it in quotes)",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping (name: value)",
    "model_type": "must be a mapping (name: value)",
    "model_attributes_type": "must be a mapping (name: value)",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "too_long": "must have at most {max_length} entries",
}


class Fault(NamedTuple):
    """One thing to mend. `path` is empty where the document as a whole is meant."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class SubscriptionError(ValueError):
    """A document that is no valid subscription. `faults` has at least one entry."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, self.faults)))


class FaultAtError(ValueError):
    """A fault below the part whose validator raises it, at `place`."""

    def __init__(self, place: str, message: str) -> None:
        self.place = place
        super().__init__(message)


class UnknownFormatError(SubscriptionError):
    """The document's `format` is newer than this version knows: not bad, only not for us."""


def quoted(value: object) -> str:
    """`value` for a message of one line. Never for what may be a secret."""
    text = repr(value)
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 3] + "..."


def field_path(place: Sequence[str | int]) -> str:
    """`("match", "filters", 0, "any")` as `match.filters[0].any`."""
    path = ""
    for step in place:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _PLAIN_NAME.fullmatch(step) and len(step) <= _LONGEST_QUOTE:
            path += f".{step}" if path else step
        else:
            path += f"[{quoted(step)}]"
    return path


def faults_from(
    errors: Sequence[ErrorDetails], fields: Mapping[tuple[str, ...], Sequence[str]]
) -> tuple[Fault, ...]:
    """pydantic's errors in our words. `fields`: the fields that each part of the document has."""
    faults = [_fault(error, fields) for error in errors[:MOST_FAULTS]]
    if len(errors) > MOST_FAULTS:
        faults.append(Fault("", f"and {len(errors) - MOST_FAULTS} faults more"))
    return tuple(faults)


def _fault(error: ErrorDetails, fields: Mapping[tuple[str, ...], Sequence[str]]) -> Fault:
    # A step that begins with "~" names a member of a union and no field; "[key]" a mapping's key.
    place = [
        step
        for step in error["loc"]
        if not (isinstance(step, str) and (step.startswith("~") or step == "[key]"))
    ]
    raised = error.get("ctx", {}).get("error")
    if isinstance(raised, FaultAtError):
        place.append(raised.place)
    return Fault(field_path(place), _message(error, place, fields))


def no_field(known: Sequence[str]) -> str:
    """What is said of a field that is not one of those."""
    return f"is not a field here: write one of {', '.join(known)}, or take it out"


def _message(
    error: ErrorDetails,
    place: Sequence[str | int],
    fields: Mapping[tuple[str, ...], Sequence[str]],
) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        part = tuple(step for step in place[:-1] if isinstance(step, str))
        return no_field(fields.get(part) or fields.get((*part[:-1], ANY), ()))
    if kind in _SAID:
        return _SAID[kind].format(**context).replace("'", "")
    return error["msg"]
