"""The catalog's pages for receivers: HTML that stands alone, without scripts. No I/O but templates.

The looks are the console's: its style sheet comes first, in each page itself.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import jinja2
from markupsafe import Markup

from hooklane.ops.catalog_delivery import ANSWERS, HEADERS
from hooklane.ops.catalog_entry import Catalog, Entry
from hooklane.ops.catalog_fields import MOST, Field, fields
from hooklane.ops.catalog_request import SECRET, body_of, request_of
from hooklane.ops.catalog_snippets import SNIPPETS
from hooklane.ops.catalog_versions import Family
from hooklane.ops.console.render import FILTERS
from hooklane.schemas.version import __version__

_TEMPLATES: Final = "catalog_templates"


@dataclass(frozen=True, slots=True)
class Row:
    """A family in the index: its newest version, and the others."""

    newest: Entry
    others: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """A field in each version, as its type in words; empty where a version lacks it."""

    path: str
    kinds: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return len(set(self.kinds)) > 1


def site(catalog: Catalog, docs_url: str = "") -> Iterator[tuple[str, str]]:
    """Every page and what it links to, but the two documents: relative path, text."""
    pages = _Pages(catalog, docs_url)
    yield "index.html", pages.index()
    yield "receiving.html", pages.receiving()
    for family in catalog.families():
        for version in family.versions:
            entry = catalog.by_name()[version.name]
            yield f"types/{entry.slug}.html", pages.type(entry, family)
            yield f"schemas/{entry.slug}.json", pretty(entry.schema) + "\n"
            yield f"samples/{entry.slug}.json", body_of(entry.samples[0].data)


def compared(versions: Sequence[Entry]) -> list[Compared]:
    """The fields of all versions, in the order of the newest one that has them."""
    found = [{one.path: _worded(one) for one in fields(entry.schema)} for entry in versions]
    paths = dict.fromkeys(path for kinds in reversed(found) for path in kinds)
    return [Compared(path, tuple(kinds.get(path, "") for kinds in found)) for path in paths]


def _worded(field: Field) -> str:
    return field.kind if field.required else f"{field.kind}; optional"


def pretty(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)


class _Pages:
    def __init__(self, catalog: Catalog, docs_url: str) -> None:
        self._catalog = catalog
        self._docs_url = docs_url.rstrip("/")
        self._by_name = catalog.by_name()
        console = files("hooklane.ops.console") / "static"
        own = files("hooklane.ops") / _TEMPLATES / "catalog.css"
        style = (console / "console.css").read_text("utf-8") + own.read_text("utf-8")
        self._templates = jinja2.Environment(
            loader=jinja2.ChoiceLoader(
                [
                    jinja2.PackageLoader("hooklane.ops", _TEMPLATES),
                    jinja2.PrefixLoader({"console": jinja2.PackageLoader("hooklane.ops.console")}),
                ]
            ),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(FILTERS, pretty=pretty)
        # Ours, and hashed for the policy: an escaped quote in it would be another text.
        self._templates.globals.update(
            style=Markup(style),  # noqa: S704
            style_hash=f"sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}",
            icon=b64encode((console / "icon.svg").read_bytes()).decode(),
            VERSION=__version__,
            catalog=catalog,
        )

    def index(self) -> str:
        rows = [self._row(family) for family in self._catalog.families()]
        return self._page("index.html", here="index", up="", rows=rows)

    def receiving(self) -> str:
        return self._page(
            "receiving.html",
            here="receiving",
            up="",
            headers=HEADERS,
            answers=ANSWERS,
            snippets=SNIPPETS,
            docs_url=self._docs_url,
        )

    def type(self, entry: Entry, family: Family) -> str:
        versions = [self._by_name[one.name] for one in family.versions]
        return self._page(
            "type.html",
            here="type",
            up="../",
            entry=entry,
            replacement=self._by_name.get(entry.replaced_by or ""),
            fields=fields(entry.schema),
            most=MOST,
            requests=[request_of(entry, one.data) for one in entry.samples],
            made=entry.samples[0].made,
            secret=SECRET,
            versions=versions,
            columns=[(one.name, "") for one in versions],
            compared=compared(versions),
        )

    def _row(self, family: Family) -> Row:
        """The newest is what is not deprecated, as long as there is such a one."""
        versions = [self._by_name[one.name] for one in family.versions]
        newest = next((one for one in reversed(versions) if not one.deprecated), versions[-1])
        return Row(newest, tuple(one for one in reversed(versions) if one is not newest))

    def _page(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(**values) + "\n"
