"""Filters: the CloudEvents Subscriptions API dialects, and CEL.

CloudEvents Subscriptions API (v1.0-wip), section 3.2.4: `exact`, `prefix` and `suffix` compare
attributes with texts, case-sensitively, and several attributes are an AND; `all`, `any` and `not`
combine filters; an empty attribute, text or list is an error. `sql` (CESQL) is optional there and
not offered here. `cel` is ours. Other words are dialects of plugins.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    PlainValidator,
    PrivateAttr,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from hooklane.schemas.event import Event
from hooklane.schemas.filters_cel import CelProgram, compile_cel
from hooklane.schemas.plugged import Group, Plugged
from hooklane.schemas.subscription_faults import FaultAtError, quoted
from hooklane.schemas.subscription_values import policy_of

DIALECTS = ("exact", "prefix", "suffix", "all", "any", "not", "cel")
MOST_FILTERS = 1000
"""Filters in one subscription, nested ones counted."""
DEEPEST_FILTER = 16
LONGEST_TEXT = 4096

# CloudEvents 1.0.2, section "Attribute Naming Convention".
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,64}")


class FilterPart(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def _attributes(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        raise ValueError("must name at least one attribute and its text, such as {type: a.b}")
    for name, text in value.items():
        if not isinstance(name, str) or not _ATTRIBUTE.fullmatch(name):
            raise ValueError(
                f"{quoted(name)} is not an attribute's name: write lower-case letters and digits"
            )
        if not isinstance(text, str) or not text:
            raise ValueError(f"{name} must be compared with a text that is not empty")
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"{name} has a text that is too long: at most {LONGEST_TEXT}")
    return value


def _expression(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text (put it in quotes)")  # noqa: TRY004 - pydantic's way
    compile_cel(value)
    return value


def _one_dialect(value: object, info: ValidationInfo) -> object:
    known = (*DIALECTS, *policy_of(info).plugins.names(Group.FILTERS))
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f"must be a mapping with one dialect: {', '.join(known)}")
    (name,) = value
    if name not in known:
        raise ValueError(
            f"{quoted(name)} is not a filter dialect here: write one of {', '.join(known)}"
        )
    return value


def _dialect(value: object) -> str | None:
    match value:
        case {"not": _} | Not():
            return "~not"
        case dict() if len(value) == 1:
            name = next(iter(value))
            return f"~{name}" if name in DIALECTS else "~plugin filter"
        case PluginFilter():
            return "~plugin filter"
        case FilterPart():
            return f"~{type(value).__name__.lower()}"
        case _:
            return None


def _some(filters: tuple["Filter", ...]) -> tuple["Filter", ...]:
    if not filters:
        raise ValueError("must hold at least one filter")
    return filters


Attributes = Annotated[
    dict[str, str],
    PlainValidator(_attributes),
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": f"^{_ATTRIBUTE.pattern}$"},
            "additionalProperties": {"type": "string", "minLength": 1},
        }
    ),
]
Expression = Annotated[str, PlainValidator(_expression), WithJsonSchema({"type": "string"})]


class Exact(FilterPart):
    exact: Attributes


class Prefix(FilterPart):
    prefix: Attributes


class Suffix(FilterPart):
    suffix: Attributes


class All(FilterPart):
    all: "Some"


class Any(FilterPart):
    any: "Some"


class Not(FilterPart):
    not_: "Filter" = Field(alias="not")


class Cel(FilterPart):
    cel: Expression

    def program(self) -> CelProgram:
        return compile_cel(self.cel)


class PluginFilter(FilterPart):
    """A plugin's dialect; pydantic has its name and what is said to it as an extra field."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "minProperties": 1,
            "maxProperties": 1,
            "propertyNames": {"not": {"enum": [*DIALECTS]}},
        },
    )
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)
    _plugged: Plugged = PrivateAttr()

    @model_validator(mode="after")
    def _plug(self, info: ValidationInfo) -> "PluginFilter":
        plugins = policy_of(info).plugins
        try:
            self._plugged = plugins.plugged(Group.FILTERS, self.dialect, self.options)
        except ValueError as error:
            raise FaultAtError(self.dialect, str(error)) from None
        return self

    @property
    def dialect(self) -> str:
        return next(iter(self.__pydantic_extra__))

    @property
    def options(self) -> JsonValue:
        return self.__pydantic_extra__[self.dialect]

    @property
    def plugged(self) -> Plugged:
        return self._plugged


Filter = Annotated[
    Annotated[Exact, Tag("~exact")]
    | Annotated[Prefix, Tag("~prefix")]
    | Annotated[Suffix, Tag("~suffix")]
    | Annotated[All, Tag("~all")]
    | Annotated[Any, Tag("~any")]
    | Annotated[Not, Tag("~not")]
    | Annotated[Cel, Tag("~cel")]
    | Annotated[PluginFilter, Tag("~plugin filter")],
    Discriminator(_dialect),
    BeforeValidator(_one_dialect),
]

# Not strict, so that a list is taken for a tuple: a validator that runs before the model hands
# on Python values, for which pydantic's JSON mode (a list is a tuple) no longer counts.
Some = Annotated[tuple[Filter, ...], Field(strict=False), AfterValidator(_some)]

All.model_rebuild()
Any.model_rebuild()
Not.model_rebuild()


def check_filters(filters: tuple[Filter, ...]) -> tuple[Filter, ...]:
    """Refuse what would cost every event too much.

    Raises:
        ValueError: too many filters, or nested too deep.
    """
    for count, depth in enumerate(_depths(filters), start=1):
        if depth > DEEPEST_FILTER:
            raise ValueError(f"are nested too deep: at most {DEEPEST_FILTER} levels")
        if count > MOST_FILTERS:
            raise ValueError(f"are too many: at most {MOST_FILTERS}, nested ones counted")
    return filters


def _depths(filters: tuple[Filter, ...], depth: int = 1) -> Iterator[int]:
    for one in filters:
        yield depth
        match one:
            case All(all=inner) | Any(any=inner):
                yield from _depths(inner, depth + 1)
            case Not(not_=negated):
                yield from _depths((negated,), depth + 1)
            case _:
                pass


def filter_attributes(event: Event) -> Mapping[str, str]:
    """The attributes that filters compare, by their CloudEvents names.

    With `datacontenttype`, and with `partitionkey` where the record's key is text.
    """
    attributes = dict(event.attributes)
    if event.content_type:
        attributes["datacontenttype"] = event.content_type
    if event.key is not None:
        try:
            attributes["partitionkey"] = event.key.decode()
        except UnicodeDecodeError:
            attributes.pop("partitionkey", None)
    return attributes
