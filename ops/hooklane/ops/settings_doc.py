"""Writes docs/settings.md from the settings themselves.

python -m hooklane.ops.settings_doc docs/settings.md
"""

import json
import sys
from collections.abc import Iterator
from enum import Enum
from ipaddress import IPv4Network
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from hooklane.runtime.settings import Settings
from hooklane.runtime.settings_shown import shown
from hooklane.runtime.settings_source import sections, setting_name
from hooklane.schemas.topics import Delay

_HEAD: Final = """\
# Settings

<!-- Made by `python -m hooklane.ops.settings_doc docs/settings.md`: change the source instead. -->

Every setting has a name in the environment, `HOOKLANE_<SECTION>__<NAME>`, and one in
`hooklane.toml`, `name` under `[section]`; the environment comes first. The file is the one that
`--config` names, else the one that `HOOKLANE_CONFIG_FILE` names, else `hooklane.toml` in the
current folder if it is there. Durations are written `100ms`, `10s`, `5m`, `2h` or `1d`, sizes in
bytes or such as `64KiB`. Lists and objects are JSON in the environment:

```sh
export HOOKLANE_FANOUT__TOPICS='["billing.events", "^orders\\\\..*"]'
```

```toml
[fanout]
topics = ["billing.events", '^orders\\..*']
```

A wrong or unknown setting stops the start with its name. Judged are only names of the form
`HOOKLANE_<SECTION>__<NAME>`; secrets of subscriptions are in `HOOKLANE_SECRET_<NAME>`.
`hooklane config show` prints what is in force and where it comes from, secrets as `set`.
"""

_KINDS: Final = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    Delay: "duration",
    SecretStr: "secret",
    IPv4Network: "network",
}


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD.rstrip()
    for section, model in sections(Settings).items():
        yield from ("", f"## {section}", "", "| name | type | default | meaning |")
        yield "|---|---|---|---|"
        for name, field in model.model_fields.items():
            cells = (
                f"`{setting_name(section, name)}`",
                _kind_of(field),
                _default(field),
                field.description or "",
            )
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _extra(field: FieldInfo, name: str) -> str | None:
    extra = field.json_schema_extra
    return str(extra[name]) if isinstance(extra, dict) and name in extra else None


def _kind_of(field: FieldInfo) -> str:
    return _extra(field, "kind_text") or _kind(field.annotation)


def bare(annotation: Any) -> Any:
    """A type without what validates it, and without None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return bare(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return bare(next(one for one in get_args(annotation) if one is not NoneType))
    return annotation


def _kind(given: Any) -> str:
    annotation = bare(given)
    origin = get_origin(annotation)
    if origin is tuple:
        return f"list of {_kind(get_args(annotation)[0])}s"
    if origin is dict:
        return "object"
    if issubclass(annotation, Enum):
        return " or ".join(f"`{one.value}`" for one in annotation)
    return _KINDS[annotation]


def _default(field: FieldInfo) -> str:
    said = _extra(field, "default_text")
    if said is not None:
        return said
    value = shown(field.get_default(call_default_factory=True))
    match value:
        case None:
            return ""
        case str():
            return f"`{value}`"
        case _:
            return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
