"""Plugins as tests have them: entry points without a distribution to install."""

from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint
from importlib.metadata import PathDistribution as _Path
from pathlib import Path

from hooklane.runtime.plugins import InstalledPlugins
from hooklane.schemas.plugged import Group
from hooklane.schemas.subscription_values import ServicePolicy

FOUND: dict[str, object] = {}
"""What entry points of tests lead to."""


def __getattr__(name: str) -> object:
    """`tests.support.plugins:NAME` leads to what was put into FOUND."""
    try:
        return FOUND[name]
    except KeyError:
        raise AttributeError(name) from None


def distribution(folder: Path, name: str, version: str = "1.0") -> Distribution:
    """One that is there by its metadata alone."""
    place = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return _Path(place)


def entry(group: Group, name: str, leads_to: object, of: Distribution | None = None) -> EntryPoint:
    """An entry point that leads to an object."""
    word = f"{group}_{name}"
    FOUND[word] = leads_to
    made = EntryPoint(name, f"tests.support.plugins:{word}", f"hooklane.{group}")
    if of is not None:
        vars(made)["dist"] = of
    return made


def plugin(call: Callable[..., object], method: str) -> type:
    """A plugin that takes any options and answers by `call`."""

    def make(self: object, options: object) -> None:
        vars(self)["options"] = options

    def answer(self: object, *arguments: object) -> object:
        return call(*arguments)

    return type("Made", (), {"api": 1, "__init__": make, method: answer})


def policy(*entries: EntryPoint) -> ServicePolicy:
    """An installation that has these."""
    return ServicePolicy(plugins=InstalledPlugins(entries))
