"""A field's default as the JSON values that a datum of it would become."""

from collections.abc import Mapping
from typing import Any

from hooklane.schemas.avro_values import form_of

_KINDS: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "int": (int,),
    "long": (int,),
    "float": (int, float, str),
    "double": (int, float, str),
    "bytes": (str,),
    "string": (str,),
    "fixed": (str,),
    "enum": (str,),
    "array": (list,),
    "map": (dict,),
    "record": (dict,),
}


def json_default(schema: Any, default: Any, names: Mapping[str, Any]) -> Any:
    """Avro writes the default of bytes as text of code points, that of a timestamp as a number.

    Raises:
        ValueError: it is no default of this type.
    """
    if isinstance(schema, list):
        branches = [one for one in schema if _is_of(one, default, names)]
        if not branches:
            raise ValueError(f"no branch of the union takes the default {default!r}")
        return json_default(branches[0], default, names)
    whole = _whole(schema, names)
    if not _is_of(whole, default, names):
        raise ValueError(f"{default!r} is no default of {whole['type']}")
    match whole["type"]:
        case "record":
            return _record(whole, default, names)
        case "array":
            return [json_default(whole["items"], one, names) for one in default]
        case "map":
            return {key: json_default(whole["values"], one, names) for key, one in default.items()}
        case "bytes" | "fixed":
            default = default.encode("latin-1")
        case "float" | "double":
            default = float(default)
        case _:
            pass
    form = form_of(whole)
    return default if form is None else form.read(default, whole)


def _record(schema: Mapping[str, Any], default: Mapping[str, Any], names: Mapping[str, Any]) -> Any:
    found = {}
    for field in schema["fields"]:
        name = field["name"]
        if name in default or "default" in field:
            value = default[name] if name in default else field["default"]
            found[name] = json_default(field["type"], value, names)
    return found


def _whole(schema: Any, names: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(schema, str):
        found: Mapping[str, Any] = names.get(schema, {"type": schema})
        return found
    whole: Mapping[str, Any] = schema
    return whole


def _is_of(schema: Any, default: object, names: Mapping[str, Any]) -> bool:
    kind: str = _whole(schema, names)["type"]
    if isinstance(default, bool):
        return kind == "boolean"
    kinds: tuple[type, ...] = _KINDS.get(kind, (object,))
    return any(isinstance(default, one) for one in kinds)
