"""The catalog as files: what is in each, by its path below the output folder."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from hooklane.ops.catalog_asyncapi import asyncapi
from hooklane.ops.catalog_entry import Catalog
from hooklane.ops.catalog_openapi import openapi
from hooklane.ops.catalog_pages import pretty, site
from hooklane.runtime.errors import CatalogError


def files_of(catalog: Catalog, docs_url: str = "") -> Iterator[tuple[str, str]]:
    """Relative path and text; always the same for the same catalog."""
    document = asyncapi(catalog)
    yield "asyncapi.json", pretty(document) + "\n"
    yield "asyncapi.yaml", in_yaml(document)
    yield "openapi.json", pretty(openapi(catalog)) + "\n"
    yield from site(catalog, docs_url)


class _Plain(yaml.SafeDumper):
    """Writes out what comes twice, where YAML would point at the first one."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def in_yaml(document: object) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)


def write(catalog: Catalog, out: Path, docs_url: str = "") -> list[str]:
    """Write all files below `out`; their relative paths. What else lies there is left.

    Raises:
        CatalogError: a file cannot be written.
    """
    written = []
    for path, text in list(files_of(catalog, docs_url)):
        place = out / path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8")
        except OSError as error:
            raise CatalogError(f"{place} cannot be written: {error.strerror}.") from error
        written.append(path)
    return written
