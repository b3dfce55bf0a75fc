"""CEL filters: compiled once, evaluated against one event, by Google's C++ implementation.

An expression sees `data` (the event's JSON document), `event` (all its attributes, a map of text)
and the attributes that CloudEvents itself names as plain words: `type`, `source`, `id`,
`specversion`, `subject`, `time`, `dataschema`, `datacontenttype`, `partitionkey`. The attribute
`type` would hide CEL's own function `type()`, so it is declared as `event.type` and the expression
is read in the container `event`: then `type == "a"`, `event.type == "a"` and `type(data.x) == int`
all mean what they say. An attribute that the event lacks is an error when it is used;
`has(event.subject)` asks first.

The library is loaded with the first expression: it takes eight MiB.

Limits: the library's recursion limit (32) and iteration budget, RE2 for `matches`, and the length
here. Nothing an expression can do outlives its evaluation.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from hooklane.schemas.event import NOT_JSON, Event

LONGEST_EXPRESSION = 4096

_PLAIN_NAMES: Final = (
    "source",
    "id",
    "specversion",
    "subject",
    "time",
    "dataschema",
    "datacontenttype",
    "partitionkey",
)
# String literals and comments are stepped over, so that only a real call of `matches` is found.
_LITERAL = (
    r"[rR]?(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\""
    r"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\")"
)
_MATCHES_CALL = re.compile(
    rf"//[^\n]*|\.\s*matches\s*\(\s*(?P<pattern>{_LITERAL})\s*\)|{_LITERAL}", re.DOTALL
)
_POSITION = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (?P<said>[^\n]*)")
_INT64_END: Final = 2**63
_TOO_BIG: Final = "Integer value '"
_LONGEST_SAID: Final = 200


@dataclass(frozen=True, slots=True)
class _Library:
    """The library, and what expressions are compiled and evaluated in."""

    cel: Any
    without_data: Any
    with_data: Any


@cache
def _library() -> _Library:
    from cel_expr_python import cel  # type: ignore[import-untyped]  # noqa: PLC0415 - no marker

    attributes = {
        "event": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
        "event.type": cel.Type.STRING,
        **dict.fromkeys(_PLAIN_NAMES, cel.Type.STRING),
    }
    return _Library(
        cel,
        without_data=cel.NewEnv(variables=attributes, container="event"),
        with_data=cel.NewEnv(variables={**attributes, "data": cel.Type.DYN}, container="event"),
    )


class CelSyntaxError(ValueError):
    """The expression cannot be a filter; its text says why, in one line."""


class CelFailure(Exception):  # noqa: N818 - an answer about one event, not a fault of ours
    """The expression has no answer for this event; its text says why, in one line."""


@dataclass(frozen=True, slots=True)
class CelProgram:
    """A compiled expression. Programs of one text are one object."""

    text: str
    needs_data: bool
    expression: Any


class CelView:
    """One event as expressions see it. Made once an event, shared by all its expressions."""

    def __init__(self, event: Event, attributes: Mapping[str, str]) -> None:
        self._event = event
        self._attributes = attributes
        self._bare: object | None = None
        self._full: object | None = None
        self._widened = False

    def holds(self, program: CelProgram) -> bool:
        """Whether the expression is true for the event.

        Raises:
            CelFailure: a missing field, a wrong type, data that is no JSON, too many iterations.
        """
        try:
            return self._evaluate(program)
        except CelFailure as failure:
            if self._widened or not program.needs_data or _TOO_BIG not in str(failure):
                raise
        self._widen()
        return self._evaluate(program)

    def _evaluate(self, program: CelProgram) -> bool:
        try:
            value = program.expression.eval(self._activation(program))
            answer, kind = value.value(), value.type()
        except CelFailure:
            raise
        except Exception as error:
            raise CelFailure(_one_line(str(error))) from error
        if kind == _library().cel.Type.ERROR:
            raise CelFailure(_one_line(str(answer)))
        if not isinstance(answer, bool):
            raise CelFailure(f"the result is {kind.name()}, not true or false")
        return answer

    def _activation(self, program: CelProgram) -> object:
        if not program.needs_data:
            if self._bare is None:
                self._bare = _library().without_data.Activation(self._bindings())
            return self._bare
        if self._full is None:
            document = self._event.document()
            if document is NOT_JSON:
                raise CelFailure("the data is not JSON")
            self._full = _library().with_data.Activation({**self._bindings(), "data": document})
        return self._full

    def _widen(self) -> None:
        """Take whole numbers beyond 64 bits as doubles: CEL refuses the whole document else."""
        self._widened = True
        document = _widened(self._event.document())
        self._full = _library().with_data.Activation({**self._bindings(), "data": document})

    def _bindings(self) -> dict[str, object]:
        attributes = self._attributes
        bound: dict[str, object] = {
            name: attributes[name] for name in _PLAIN_NAMES if name in attributes
        }
        bound["event"] = attributes
        bound["event.type"] = attributes["type"]
        return bound


@lru_cache(maxsize=8192)
def compile_cel(text: str) -> CelProgram:
    """Compile and check an expression.

    Raises:
        CelSyntaxError: too long, not CEL, an unknown name, a result that is not true or false, or
            a bad regular expression.
    """
    if len(text) > LONGEST_EXPRESSION:
        raise CelSyntaxError(f"is too long: at most {LONGEST_EXPRESSION} characters")
    try:
        program = CelProgram(
            text, needs_data=False, expression=_library().without_data.compile(text)
        )
    except Exception:  # noqa: BLE001 - most expressions need the data; the next try judges them
        program = CelProgram(text, needs_data=True, expression=_compile_with_data(text))
    result, types = program.expression.return_type(), _library().cel.Type
    if result not in (types.BOOL, types.DYN):
        raise CelSyntaxError(
            f"gives {result.name()}, not true or false: write a comparison or has(...)"
        )
    _check_patterns(text)
    return program


def _compile_with_data(text: str) -> object:
    try:
        return _library().with_data.compile(text)
    except Exception as error:
        raise CelSyntaxError(f"is not a CEL expression: {_first_error(str(error))}") from error


def _check_patterns(text: str) -> None:
    """Refuse a bad literal pattern now: the library finds it only when the call is reached."""
    for call in _MATCHES_CALL.finditer(text):
        if call["pattern"] is None:
            continue
        value = _library().without_data.compile(f"''.matches({call['pattern']})").eval()
        if value.type() == _library().cel.Type.ERROR:
            raise CelSyntaxError(f"has a bad pattern: {_one_line(str(value.value()))}")


def _first_error(text: str) -> str:
    found = _POSITION.search(text)
    if found is None:
        return _one_line(text)
    where = f" (at line {found[1]}, column {found[2]})" if int(found[1]) > 0 else ""
    return _one_line(found["said"]) + where


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SAID else line[: _LONGEST_SAID - 3] + "..."


def _widened(document: object) -> object:
    match document:
        case bool():
            return document
        case int() if not -_INT64_END <= document < _INT64_END:
            return _double(document)
        case dict():
            return {name: _widened(value) for name, value in document.items()}
        case list():
            return [_widened(value) for value in document]
        case _:
            return document


def _double(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
