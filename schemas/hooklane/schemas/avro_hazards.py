"""What a few hostile bytes could do to whoever reads them by a schema. Pure.

Schemas are parsed by fastavro; `names` has their named types.
"""

from collections.abc import Mapping
from typing import Any


def is_recursive(names: Mapping[str, Any]) -> bool:
    """Whether a named type can hold itself."""
    uses = {name: _mentioned(schema, top=True) & names.keys() for name, schema in names.items()}
    reach = dict(uses)
    for _ in names:
        reach = {name: seen.union(*(uses[one] for one in seen)) for name, seen in reach.items()}
    return any(name in seen for name, seen in reach.items())


def _mentioned(schema: Any, *, top: bool = False) -> set[str]:
    """The names that stand in a type's definition; what a named type in it uses is its own."""
    match schema:
        case str():
            return {schema}
        case list():
            return set().union(*map(_mentioned, schema))
        case {"name": str(name)} if not top:
            return {name}
        case {"fields": fields}:
            return set().union(*(_mentioned(field["type"]) for field in fields))
        case {"items": inner} | {"values": inner}:
            return _mentioned(inner)
        case _:
            return set()


def has_empty_items(schema: Any, names: Mapping[str, Any]) -> bool:
    """Whether a list in it has items of no bytes: ten bytes may say that there are 2^63 of them."""
    match schema:
        case list():
            return any(has_empty_items(one, names) for one in schema)
        case {"type": "array", "items": items}:
            return _is_empty(items, names, frozenset()) or has_empty_items(items, names)
        case {"values": values}:
            return has_empty_items(values, names)
        case {"fields": fields}:
            return any(has_empty_items(field["type"], names) for field in fields)
        case _:
            return False


def _is_empty(schema: Any, names: Mapping[str, Any], inside: frozenset[str]) -> bool:
    """Whether a datum takes no bytes. A type that holds itself does not: something must end it."""
    if isinstance(schema, str) and schema in names:
        return schema not in inside and _is_empty(names[schema], names, inside | {schema})
    match schema:
        case "null" | {"type": "null"} | {"type": "fixed", "size": 0}:
            return True
        case {"fields": fields}:
            return all(_is_empty(field["type"], names, inside) for field in fields)
        case _:
            return False
