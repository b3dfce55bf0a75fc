"""Where JSON values do not fit an Avro schema: places and reasons, never the values."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from hooklane.schemas.avro_values import form_of
from hooklane.schemas.event_types_fault import MOST_FAULTS, Fault, json_path

Path: TypeAlias = tuple[str | int, ...]

_WHOLE: Final = {"int": 2**31, "long": 2**63}
_ARTICLES: Final = {
    "null": "null",
    "boolean": "true or false",
    "int": "a whole number of 32 bits",
    "long": "a whole number of 64 bits",
    "string": "text",
    "array": "a list",
    "map": "an object",
    "record": "an object",
    "float": "a number",
    "double": "a number",
}


class AvroJudge:
    """`schema` is parsed by fastavro, `names` has its named types."""

    def __init__(self, schema: Any, names: Mapping[str, Any]) -> None:
        self._schema = schema
        self._names = names

    def faults(self, data: object) -> tuple[Fault, ...]:
        """The first faults, at most `MOST_FAULTS`."""
        found: list[Fault] = []
        try:
            self._judge(self._schema, data, (), found)
        except RecursionError:
            return (Fault("$", "is nested too deeply"),)
        return tuple(found)

    def _judge(self, schema: Any, value: object, path: Path, found: list[Fault]) -> None:
        if len(found) >= MOST_FAULTS:
            return
        if isinstance(schema, list):
            self._union(schema, value, path, found)
            return
        whole = self._whole(schema)
        match whole["type"]:
            case "record" if isinstance(value, dict):
                self._record(whole, value, path, found)
            case "array" if isinstance(value, list):
                for place, one in enumerate(value):
                    self._judge(whole["items"], one, (*path, place), found)
            case "map" if isinstance(value, dict):
                for key, one in value.items():
                    self._judge(whole["values"], one, (*path, key), found)
            case _:
                reason = _misfit(whole, value)
                if reason is not None:
                    found.append(Fault(json_path(path), reason))

    def _record(
        self, schema: Mapping[str, Any], value: dict[str, Any], path: Path, found: list[Fault]
    ) -> None:
        known = set()
        for field in schema["fields"]:
            name = field["name"]
            known.add(name)
            if name in value:
                self._judge(field["type"], value[name], (*path, name), found)
            elif "default" not in field and not self._nullable(field["type"]):
                found.append(Fault(json_path((*path, name)), "is missing"))
        unknown = [name for name in value if name not in known]
        found += [Fault(json_path((*path, name)), "is not in the schema") for name in unknown]
        del found[MOST_FAULTS:]

    def _union(self, branches: list[Any], value: object, path: Path, found: list[Fault]) -> None:
        """The faults of the only branch that can be meant, else one that names them all."""
        tried: list[list[Fault]] = []
        for branch in branches:
            faults: list[Fault] = []
            self._judge(branch, value, path, faults)
            if not faults:
                return
            tried.append(faults)
        likely = [
            faults
            for branch, faults in zip(branches, tried, strict=True)
            if self._whole(branch)["type"] != "null"
        ]
        inside = [faults for faults in tried if faults[0].path != json_path(path)]
        if len(likely) == 1:
            found.extend(likely[0])
        elif len(inside) == 1:
            found.extend(inside[0])
        else:
            texts = " or ".join(_expected(self._whole(branch)) for branch in branches)
            found.append(Fault(json_path(path), f"is not {texts}" if branches else "is nothing"))
        del found[MOST_FAULTS:]

    def _nullable(self, schema: Any) -> bool:
        branches = schema if isinstance(schema, list) else [schema]
        return any(self._whole(branch)["type"] == "null" for branch in branches)

    def _whole(self, schema: Any) -> Mapping[str, Any]:
        if isinstance(schema, str):
            found: Mapping[str, Any] = self._names.get(schema, {"type": schema})
            return found
        whole: Mapping[str, Any] = schema
        return whole


def _expected(schema: Mapping[str, Any]) -> str:
    form = form_of(schema)
    if form is not None:
        return form.text
    if schema["type"] == "enum":
        return f"one of {', '.join(schema['symbols'])}"
    return _ARTICLES.get(schema["type"], str(schema["type"]))


def _misfit(schema: Mapping[str, Any], value: object) -> str | None:
    form = form_of(schema)
    if form is None:
        return None if _fits(schema, value) else f"is not {_expected(schema)}"
    try:
        raw = form.write(value, schema)
    except (ValueError, OverflowError):
        return f"is not {form.text}"
    if isinstance(raw, bytes) and schema["type"] == "fixed" and len(raw) != schema["size"]:
        return f"is not {form.text} of {schema['size']} bytes"
    if isinstance(raw, int) and not _in_range(schema["type"], raw):
        return f"is not {form.text} that fits {schema['type']}"
    return None


def _fits(schema: Mapping[str, Any], value: object) -> bool:
    match schema["type"]:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "enum":
            return isinstance(value, str) and value in schema["symbols"]
        case "int" | "long" as kind:
            whole = isinstance(value, int) and not isinstance(value, bool)
            return whole and _in_range(kind, value)
        case _:
            return False


def _in_range(kind: str, value: Any) -> bool:
    end = _WHOLE.get(kind)
    return end is None or -end <= value < end
