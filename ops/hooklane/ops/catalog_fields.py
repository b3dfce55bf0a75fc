"""The fields of a JSON Schema, a row each, as a reader wants them. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from hooklane.ops.catalog_pointer import BadReferenceError, resolved

_LIMITS: Final = (
    ("minimum", "≥ {}"),
    ("exclusiveMinimum", "> {}"),
    ("maximum", "≤ {}"),
    ("exclusiveMaximum", "< {}"),
    ("multipleOf", "multiple of {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
)
_DEEPEST: Final = 12
MOST: Final = 1000
"""Fields that are shown: types that use one another many times make more than anybody reads."""


@dataclass(frozen=True, slots=True)
class Field:
    """`path`: such as `lines[].sku`. `kind`: its type in words, with what limits it."""

    path: str
    kind: str
    required: bool
    deprecated: bool
    description: str


def fields(schema: object) -> list[Field]:
    """The first `MOST` fields, each before those within it. What holds itself is shown once."""
    return list(islice(_Reader(schema).within(schema, "", ("#",)), MOST))


class _Reader:
    def __init__(self, root: object) -> None:
        self._root = root

    def within(self, schema: object, path: str, open_refs: tuple[str, ...]) -> Iterator[Field]:
        """The fields of an object, of an array's items, of a map's values, of each alternative."""
        seen: set[str] = set()
        for form, refs in self._forms(schema, open_refs):
            if len(refs) > _DEEPEST:
                continue
            required = form.get("required", ())
            for name, inner in form.get("properties", {}).items():
                here = f"{path}.{name}" if path else name
                if here not in seen:
                    seen.add(here)
                    yield self._field(inner, here, name in required)
                    yield from self.within(inner, here, refs)
            others = form.get("additionalProperties")
            if isinstance(others, Mapping) and others:
                here = f"{path}.*" if path else "*"
                yield self._field(others, here, required=False)
                yield from self.within(others, here, refs)
            if isinstance(form.get("items"), Mapping):
                yield from self.within(form["items"], f"{path}[]", refs)

    def _field(self, schema: object, path: str, required: bool) -> Field:
        about = self._followed(schema)
        return Field(
            path=path,
            kind=self._kind(schema, ()),
            required=required,
            deprecated=about.get("deprecated") is True,
            description=str(about.get("description") or ""),
        )

    def _forms(
        self, schema: object, open_refs: tuple[str, ...]
    ) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...]]]:
        """The schema itself, and every schema that it takes to be part of it."""
        if not isinstance(schema, Mapping):
            return
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference not in open_refs:
            yield from self._forms(self._target(reference), (*open_refs, reference))
        yield schema, open_refs
        for word in ("allOf", "anyOf", "oneOf"):
            for part in schema.get(word, ()):
                yield from self._forms(part, open_refs)

    def _target(self, reference: str) -> object:
        try:
            return resolved(self._root, reference)
        except BadReferenceError:
            return None

    def _followed(self, schema: object) -> Mapping[str, Any]:
        """What is said of it, where it stands and where it leads."""
        if not isinstance(schema, Mapping):
            return {}
        reference = schema.get("$ref")
        target = self._target(reference) if isinstance(reference, str) else None
        return {**target, **schema} if isinstance(target, Mapping) else schema

    def _kind(self, schema: object, open_refs: tuple[str, ...]) -> str:
        if not isinstance(schema, Mapping):
            return "anything"
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._kind_of(reference, open_refs)
        for word in ("anyOf", "oneOf"):
            if schema.get(word):
                kinds = [self._kind(one, open_refs) for one in schema[word]]
                return " or ".join(sorted(dict.fromkeys(kinds), key=lambda kind: kind == "null"))
        if "const" in schema:
            return f"always {schema['const']}"
        if schema.get("enum"):
            return "one of " + ", ".join(map(str, schema["enum"]))
        return self._plain(schema, open_refs)

    def _kind_of(self, reference: str, open_refs: tuple[str, ...]) -> str:
        """An object by its name, anything else by what it is."""
        if reference == "#":
            return "itself"
        name = reference.rpartition("/")[2].rpartition(".")[2]
        if reference in open_refs:
            return name
        inner = self._kind(self._target(reference), (*open_refs, reference))
        return name if inner == "object" else inner

    def _plain(self, schema: Mapping[str, Any], open_refs: tuple[str, ...]) -> str:
        said = schema.get("type", "object" if "properties" in schema else "anything")
        words = [str(one) for one in said] if isinstance(said, list) else [str(said)]
        if "array" in words and isinstance(schema.get("items"), Mapping):
            words[words.index("array")] = f"array of {self._kind(schema['items'], open_refs)}"
        others = schema.get("additionalProperties")
        if "object" in words and isinstance(others, Mapping) and others:
            words[words.index("object")] = f"map to {self._kind(others, open_refs)}"
        kind = " or ".join(words)
        form = schema.get("format") or schema.get("contentEncoding")
        limits = [text.format(schema[word]) for word, text in _LIMITS if word in schema]
        return ", ".join([f"{kind} ({form})" if form else kind, *limits])
