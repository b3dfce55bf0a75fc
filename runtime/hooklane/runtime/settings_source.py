"""Where settings are read, and how a mistake in them is named.

Only `HOOKLANE_<SECTION>__<NAME>` is judged. Kubernetes sets `HOOKLANE_FANOUT_SERVICE_HOST` for a
service of that name, tests set `HOOKLANE_TEST_…`, secrets are in `HOOKLANE_SECRET_…`.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    TomlConfigSettingsSource,
)

from hooklane.runtime.errors import SettingsError

CONFIG_FILE = "HOOKLANE_CONFIG_FILE"
DEFAULT_FILE = Path("hooklane.toml")

_JUDGED = re.compile(r"HOOKLANE_(?P<section>.+?)__(?P<name>.+)", re.IGNORECASE)
_SECRET = "HOOKLANE_SECRET_"  # noqa: S105 - a prefix, not a secret
_TEST = "HOOKLANE_TEST_"

Values = dict[str, dict[str, Any]]
"""Section to name to value."""


@dataclass(frozen=True, slots=True)
class Given:
    """What was set, and where; what is in neither has its default."""

    path: Path | None
    file: Values
    environment: Values

    def place(self, section: str, name: str) -> str | None:
        """`environment`, the file's path, or None for a default."""
        if name in self.environment.get(section, {}):
            return "environment"
        if name in self.file.get(section, {}):
            return str(self.path)
        return None


def setting_name(section: str, name: str) -> str:
    """The environment's name of a setting."""
    return f"HOOKLANE_{section.upper()}__{name.upper()}"


def sections(settings: type[BaseSettings]) -> dict[str, type[BaseModel]]:
    """Every section's model, by name."""
    return {
        name: field.annotation
        for name, field in settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def known_names(settings: type[BaseSettings]) -> dict[str, FieldInfo]:
    """Every setting, by its environment's name."""
    return {
        setting_name(section, name): field
        for section, model in sections(settings).items()
        for name, field in model.model_fields.items()
    }


def find_file(asked: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The settings file, or None where none was asked for and the default one is missing.

    Raises:
        SettingsError: the one that was asked for is not there.
    """
    if asked is not None:
        return _existing(asked, "--config")
    named = environ.get(CONFIG_FILE)
    if named:
        return _existing(Path(named), CONFIG_FILE)
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _existing(path: Path, said_by: str) -> Path:
    if not path.is_file():
        raise SettingsError(f"The settings file {path} that {said_by} names is not there.")
    return path


class FileSource(TomlConfigSettingsSource):
    """`hooklane.toml`: a table a section."""

    def __init__(self, settings: type[BaseSettings], path: Path) -> None:
        try:
            super().__init__(settings, path)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise SettingsError(f"The settings file {path} cannot be read: {error}.") from error
        self._path = path

    def __call__(self) -> Values:
        known = sections(self.settings_cls)
        for section, values in self.toml_data.items():
            if section not in known:
                raise SettingsError(
                    f"[{section}] in {self._path} is not a section of settings"
                    f"{_nearest(section, known)}."
                )
            if not isinstance(values, dict):
                raise SettingsError(f"{section} in {self._path} must be a table: [{section}].")
            for name in values:
                if name not in known[section].model_fields:
                    raise SettingsError(
                        f"{name} under [{section}] in {self._path} is not a setting"
                        f"{_nearest(name, known[section].model_fields)}."
                    )
        return self.toml_data


class EnvironmentSource(PydanticBaseSettingsSource):
    """`HOOKLANE_<SECTION>__<NAME>`; lists and objects in JSON."""

    def __init__(self, settings: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings)
        self._environ = environ

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One setting by its environment's name, decoded where its type asks for JSON."""
        text = self._environ[field_name]
        if not _is_json(field.annotation):
            return text, field_name, False
        try:
            return json.loads(text), field_name, True
        except ValueError as error:
            kind = "object" if _origin(field.annotation) is dict else "list"
            example = '{"name": "value"}' if kind == "object" else '["one", "two"]'
            raise SettingsError(
                f"{field_name} is not a JSON {kind}: write it such as {example}."
            ) from error

    def __call__(self) -> Values:
        known = known_names(self.settings_cls)
        values: Values = {}
        for name in self._environ:
            if name in known:
                section, _, setting = name.removeprefix("HOOKLANE_").lower().partition("__")
                value, _, _ = self.get_field_value(known[name], name)
                values.setdefault(section, {})[setting] = value
            elif _is_judged(name, known):
                raise SettingsError(f"{name} is not a setting{_nearest(name, known)}.")
        return values


def _is_judged(name: str, known: Mapping[str, FieldInfo]) -> bool:
    if _JUDGED.fullmatch(name) is None or name.upper().startswith(_TEST):
        return False
    if name.upper().startswith(_SECRET):
        # A secret may be called almost anything, but HOOKLANE_SECRET__DIR was meant for SECRETS.
        return name.upper().replace("SECRET__", "SECRETS__", 1) in known
    return True


def _nearest(name: str, known: Iterable[str]) -> str:
    by_case = {one.casefold(): one for one in known}
    found = get_close_matches(name.casefold(), by_case, n=1, cutoff=0.5)
    return f"; the nearest is {by_case[found[0]]}" if found else ""


def _origin(annotation: object) -> object:
    return get_origin(annotation) or annotation


def _is_json(annotation: object) -> bool:
    if _origin(annotation) in {Union, UnionType}:
        return any(map(_is_json, get_args(annotation)))
    return _origin(annotation) in {tuple, list, dict}


def merged(given: Given) -> Values:
    """The environment over the file, setting by setting."""
    return {
        section: {**given.file.get(section, {}), **given.environment.get(section, {})}
        for section in {**given.file, **given.environment}
    }


def describe(error: ValidationError, given: Given) -> str:
    """The first mistake in one sentence that names the setting and never repeats a secret."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    said = first["msg"].removeprefix("Value error, ").rstrip(".")
    if len(first["loc"]) < 2:
        # A rule over several settings: its text names them.
        return f"{said}."
    section, name = str(first["loc"][0]), str(first["loc"][1])
    inner = "".join(f"[{step}]" for step in first["loc"][2:])
    where = setting_name(section, name) + inner
    if given.place(section, name) not in {None, "environment"}:
        where = f"{name}{inner} under [{section}] in {given.path}"
    return f"{where} is wrong: {said[:1].lower()}{said[1:]}."
