"""The catalog of the schemas in tests/unit/data/schemas, for tests about it."""

from pathlib import Path

from hooklane.ops.catalog_build import build
from hooklane.ops.catalog_entry import Catalog
from hooklane.schemas.event_types_read import read_event_types

SCHEMAS = Path(__file__).parents[1] / "unit" / "data" / "schemas"


def the_catalog(folder: Path = SCHEMAS) -> Catalog:
    return build(read_event_types(folder), "Shop events", "7")
