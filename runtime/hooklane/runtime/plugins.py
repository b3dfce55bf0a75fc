"""The plugins that are installed: found by entry points, loaded when a document asks for one.

Names are looked up when a document has a word that is not built in, and at the start of a service;
without plugins nothing else is done. A name that is taken twice, or is built in, is nobody's.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from hooklane.runtime.errors import SettingsError
from hooklane.runtime.plugin_calls import MOST_THREADS, Guard, one_line
from hooklane.runtime.threads import SomeThreads
from hooklane.schemas.filters import DIALECTS
from hooklane.schemas.plugged import Group, PluginError
from hooklane.schemas.plugin import API
from hooklane.schemas.subscription_parts import Auth, PayloadMode, SigningScheme
from hooklane.schemas.subscription_values import SecretKind

FILTER_LIMIT_S: Final = 1.0
"""While a filter thinks, all events wait."""
CALL_LIMIT_S: Final = 10.0

_PREFIX: Final = "hooklane."
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_METHODS: Final = {
    Group.SIGNING: "sign",
    Group.AUTH: "headers",
    Group.FILTERS: "matches",
    Group.PAYLOAD: "transform",
    Group.SECRETS: "fetch",
}
_BUILT_IN: Final[dict[Group, frozenset[str]]] = {
    Group.SIGNING: frozenset(SigningScheme),
    Group.AUTH: frozenset(Auth.model_fields),
    Group.FILTERS: frozenset(DIALECTS),
    Group.PAYLOAD: frozenset(PayloadMode),
    Group.SECRETS: frozenset(SecretKind),
}
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Installed:
    """An entry point. `fault`: why nobody may use it, in one sentence."""

    group: Group
    name: str
    distribution: str
    version: str
    entry: EntryPoint
    fault: str | None = None

    @property
    def title(self) -> str:
        return f"the {self.group} plugin {self.name} of {self.distribution} {self.version}"


class InstalledPlugins:
    """`found`: the entry points to choose from; None: those of this environment."""

    def __init__(self, found: Iterable[EntryPoint] | None = None) -> None:
        self._found = None if found is None else tuple(found)
        self._listed: dict[Group, dict[str, Installed]] | None = None
        self._loaded: dict[tuple[Group, str], _Loaded] = {}
        self._guards: dict[tuple[object, ...], Guard] = {}

    def names(self, group: Group) -> tuple[str, ...]:
        """The words that documents may use, sorted."""
        found = self._by_name()[group]
        return tuple(sorted(name for name, one in found.items() if one.fault is None))

    def plugged(self, group: Group, name: str, options: object) -> Guard:
        """The plugin of that name with these options; the same one as long as it is remembered.

        Raises:
            ValueError: it cannot be loaded, or does not take the options.
        """
        key = (group, name, json.dumps(options, sort_keys=True))
        guard = self._guards.get(key)
        if guard is None:
            if len(self._guards) >= _REMEMBERED:
                self._guards.clear()
            guard = self._guards[key] = self._loaded_one(group, name).made(key, options)
        return guard

    def all(self) -> tuple[Installed, ...]:
        """Every plugin there is, also those of no use, by group and name."""
        return tuple(one for group in self._by_name().values() for _, one in sorted(group.items()))

    def load(self, one: Installed) -> str | None:
        """Why a plugin is of no use here; None: it is."""
        try:
            if one.fault is None:
                self._loaded_one(one.group, one.name)
        except ValueError as error:
            return str(error)
        return one.fault

    def check(self) -> None:
        """Refuse a service that would have to guess what a word means.

        Raises:
            SettingsError: a name that is built in, that two distributions have, or that is none.
        """
        for one in self.all():
            if one.fault is not None:
                raise SettingsError(f"{one.fault[0].upper()}{one.fault[1:]}.")

    def _loaded_one(self, group: Group, name: str) -> "_Loaded":
        loaded = self._loaded.get((group, name))
        if loaded is None:
            loaded = self._loaded[group, name] = _Loaded(self._by_name()[group][name])
        loaded.load()
        return loaded

    def _by_name(self) -> dict[Group, dict[str, Installed]]:
        if self._listed is None:
            found = _environment() if self._found is None else self._found
            listed: dict[Group, dict[str, Installed]] = {group: {} for group in Group}
            for entry in found:
                group = _group_of(entry)
                if group is not None:
                    before = listed[group].get(entry.name)
                    listed[group][entry.name] = _judged(group, entry, before)
            self._listed = listed
        return self._listed


class _Loaded:
    """What an entry point leads to, with the threads of its calls."""

    def __init__(self, installed: Installed) -> None:
        self._installed = installed
        self._threads = SomeThreads(f"plugin {installed.name}", MOST_THREADS)
        self._factory: Any = None
        title, threads = installed.title, self._threads
        # One of each for all documents: one that hangs costs its limit once.
        self._imports = Guard(title, (), _imported, threads, CALL_LIMIT_S)
        self._makes = Guard(title, (), _made, threads, CALL_LIMIT_S)

    def load(self) -> None:
        """Raises ValueError: it leads nowhere, or to what this version does not know."""
        installed = self._installed
        if self._factory is not None:
            return
        if installed.fault is not None:
            raise ValueError(installed.fault)
        factory = self._asked(self._imports, installed.entry)
        version = getattr(factory, "api", None)
        if not callable(factory) or version != API:
            raise ValueError(
                f"{installed.title} is not made for this Hooklane: it must lead to something to "
                f"call that has `api = {API}`, and has {version!r}"
            )
        self._factory = factory

    def made(self, key: tuple[object, ...], options: object) -> Guard:
        """Raises ValueError: it does not take the options."""
        installed = self._installed
        method = _METHODS[installed.group]
        made = self._asked(self._makes, self._factory, json.loads(json.dumps(options)))
        function = getattr(made, method, None)
        if not callable(function):
            # As every fault of a document.
            raise ValueError(  # noqa: TRY004
                f"{installed.title} makes {type(made).__name__} without {method}()"
            )
        limit_s = FILTER_LIMIT_S if installed.group is Group.FILTERS else CALL_LIMIT_S
        return Guard(installed.title, key, function, self._threads, limit_s)

    def _asked(self, guard: Guard, *arguments: object) -> Any:
        try:
            found = guard.ask(_as_it_is, *arguments)
        except PluginError as error:
            raise ValueError(str(error)) from None
        if isinstance(found, _Unusable):
            raise ValueError(f"{guard.title} {found.reason}")  # noqa: TRY004 - as above
        return found


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Instead of what was wanted of a plugin: why it is not to be had."""

    reason: str


def _environment() -> tuple[EntryPoint, ...]:
    return tuple(one for group in Group for one in entry_points(group=f"{_PREFIX}{group}"))


def _imported(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except Exception as error:  # noqa: BLE001 - told to whoever wanted it
        return _Unusable(f"cannot be imported ({type(error).__name__}: {one_line(error)})")


def _made(factory: Callable[[object], object], options: object) -> object:
    try:
        return factory(options)
    except ValueError as error:
        # What it says of the options is for whoever wrote them.
        return _Unusable(f"does not take these options: {one_line(error)}")


def _as_it_is(found: object) -> object:
    return found


def _group_of(entry: EntryPoint) -> Group | None:
    group = entry.group.removeprefix(_PREFIX)
    return Group(group) if group in _METHODS else None


def _judged(group: Group, entry: EntryPoint, before: Installed | None) -> Installed:
    distribution = "?" if entry.dist is None else entry.dist.name
    version = "" if entry.dist is None else entry.dist.version
    here = f"the {group} plugin {entry.name} of {distribution}"
    fault = None
    if not _NAME.fullmatch(entry.name):
        fault = f"{here} has a name that no document can write: a-z, 0-9, _ and -, a letter first"
    elif entry.name in _BUILT_IN[group]:
        fault = f"{here} has the name of what is built in: remove {distribution}, or rename it"
    elif before is not None:
        fault = f"{here} is there a second time, of {before.distribution}: remove one of the two"
    return Installed(group, entry.name, distribution, version, entry, fault)


@cache
def installed_plugins() -> InstalledPlugins:
    """Those of this process."""
    return InstalledPlugins()
