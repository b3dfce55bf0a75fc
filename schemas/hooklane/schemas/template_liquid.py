"""Liquid, cut down to what can neither reach out nor run away.

There are no files, no clock and no Python objects in it. What a template may cost is bounded before
it runs (its loops) and while it runs (the CPU time, the size of every value and of the output), so
that one cannot hold up anything.
"""

import json
from collections.abc import Callable, Mapping
from time import thread_time
from typing import Any, Final

from liquid import Environment, Mode, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import LiquidError, ResourceLimitError
from liquid.expression import Expression
from liquid.template import BoundTemplate
from liquid.undefined import FalsyStrictUndefined

from hooklane.schemas.template import LARGEST_OUTPUT, TemplateError

CPU_S: Final = 0.1
_STEPS: Final = 200_000
_LARGEST_VALUE: Final = 1024 * 1024
_LARGEST_NUMBER: Final = 128
"""Bits."""

# The others loop over nothing, keep state, or load templates.
_TAGS_LEFT_OUT: Final = frozenset(
    {"cycle", "decrement", "doc", "ifchanged", "include", "increment", "render", "tablerow"}
)
_FILTERS: Final = frozenset(
    {"abs", "append", "at_least", "at_most", "capitalize", "ceil", "compact", "concat", "default"}
    | {
        "divided_by",
        "downcase",
        "escape",
        "find",
        "first",
        "floor",
        "has",
        "join",
        "last",
        "lstrip",
    }
    | {"map", "minus", "modulo", "plus", "prepend", "reject", "remove", "replace", "reverse"}
    | {"round", "rstrip", "size", "slice", "sort", "split", "strip", "sum", "times", "truncate"}
    | {"truncatewords", "upcase", "url_encode", "where"}
)


class LiquidTemplate:
    """A template that has been read. `render` gives its output for one event.

    Raises:
        TemplateError: it cannot be read.
    """

    def __init__(self, source: str) -> None:
        try:
            self._template: BoundTemplate = _ENVIRONMENT.from_string(source)
        except (LiquidError, RecursionError) as error:
            raise TemplateError(_said(error)) from error
        steps = sum(map(_weight, self._template.nodes))
        self._turns = max(_STEPS // max(steps, 1), 1)

    def render(self, variables: Mapping[str, object]) -> str:
        """The output, at most `LARGEST_OUTPUT` bytes of UTF-8.

        Raises:
            TemplateError: something is missing or wrong in these variables, or it would be too
                large or take too long.
        """
        try:
            try:
                return self._render(variables)
            except _SlowError:
                # The interpreter's own garbage collection may have taken the time.
                return self._render(variables)
        except (LiquidError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
            raise TemplateError(_said(error)) from error

    def _render(self, variables: Mapping[str, object]) -> str:
        template = self._template
        context = _Context(template, globals=variables)
        context.turns = self._turns
        context.ends_at = thread_time() + CPU_S
        buffer = template._get_buffer()  # noqa: SLF001 - the limited one
        template.render_with_context(context, buffer)
        return buffer.getvalue()


class _SlowError(ResourceLimitError):
    """More CPU time went by than a template may take."""


class _Context(RenderContext):
    """Counts what a template costs while it runs."""

    __slots__ = ("ends_at", "turns")

    ends_at: float
    turns: int

    def get(self, *args: Any, **named: Any) -> object:
        self.check_time()
        return super().get(*args, **named)

    def check_time(self) -> None:
        if thread_time() > self.ends_at:
            raise _SlowError(f"it takes more than {CPU_S:g} s", token=None)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        turns = length
        for loop in self.loops:
            turns *= loop.length
        if turns > self.turns:
            said = f"its loops would run more than {self.turns} times"
            raise ResourceLimitError(said, token=None)


class _Template(BoundTemplate):
    context_class = _Context


class _Language(Environment):
    template_class = _Template
    local_namespace_limit = _LARGEST_VALUE
    output_stream_limit = LARGEST_OUTPUT
    ternary_expressions = True
    logical_not_operator = True
    logical_parentheses = True

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for name in _TAGS_LEFT_OUT & self.tags.keys():
            del self.tags[name]
        for name, function in list(self.filters.items()):
            if name in _FILTERS:
                self.filters[name] = _guarded(name, function)
            else:
                del self.filters[name]
        self.filters["json"] = _guarded("json", _json)


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, with its time and the size of its result bounded."""

    def run(value: Any, *args: Any, context: _Context, **named: Any) -> Any:
        context.check_time()
        _check_product(name, value, args)
        if getattr(function, "with_environment", False):
            named["environment"] = context.env
        result = function(value, *args, **named)
        if _is_large(result):
            raise ResourceLimitError(f"the filter {name} makes too large a value", token=None)
        return result

    run.with_context = True  # type: ignore[attr-defined]  # Liquid's mark
    return run


def _check_product(name: str, value: Any, args: tuple[Any, ...]) -> None:
    """What multiplies two sizes is judged before it is done."""
    if name == "replace" and args:
        size = str(value).count(str(args[0])) * len(str(args[1]) if len(args) > 1 else "")
    elif name == "join" and isinstance(value, list | tuple):
        size = len(value) * len(str(args[0]) if args else " ")
    else:
        return
    if size > _LARGEST_VALUE:
        raise ResourceLimitError(f"the filter {name} makes too large a value", token=None)


def _is_large(result: Any) -> bool:
    if isinstance(result, int):
        return result.bit_length() > _LARGEST_NUMBER
    return isinstance(result, str | list | tuple) and len(result) > _LARGEST_VALUE


def _json(value: Any) -> str:
    """The value as JSON, quotes and all: what is to stand in a JSON document."""
    if isinstance(value, FalsyStrictUndefined):
        raise LiquidError(value.msg, token=None)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _weight(node: Node) -> int:
    """How many steps a node takes at most, each of its loops run once.

    Raises:
        TemplateError: a filter that is not there, or a range, which can be as long as one likes.
    """
    inner = sum(map(_weight, node.children(_NOWHERE)))
    return 1 + inner + sum(map(_weight_of, node.expressions()))


def _weight_of(expression: Expression) -> int:
    if isinstance(expression, RangeLiteral):
        raise TemplateError("it has a range such as (1..9): loop over the event's data instead")
    filters = [
        one for name in ("filters", "tail_filters") for one in getattr(expression, name, None) or ()
    ]
    for one in filters:
        if one.name not in _ENVIRONMENT.filters:
            raise TemplateError(f"there is no filter {one.name}")
    return 1 + len(filters) + sum(map(_weight_of, expression.children()))


def _said(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, LiquidError):
        words = str(error.args[0] if error.args else error).partition("\n")[0]
        token = error.token
        if token is not None and token.source:
            line = token.source.count("\n", 0, max(token.start_index, 0)) + 1
            return f"{words}, on line {line}"
        return words
    return f"{type(error).__name__}: {error}"


_ENVIRONMENT: Final = _Language(tolerance=Mode.STRICT, undefined=FalsyStrictUndefined)
_NOWHERE: Final = RenderContext(_ENVIRONMENT.from_string(""))
