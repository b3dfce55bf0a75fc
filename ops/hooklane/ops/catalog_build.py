"""From a folder's event types to the catalog: what receivers get of each, with samples. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from hooklane.ops.catalog_avro import json_schema
from hooklane.ops.catalog_entry import Catalog, Entry, Sample, duplicate_slugs
from hooklane.ops.catalog_pointer import BadReferenceError, parts, resolved
from hooklane.ops.catalog_sample import NoSampleError, sample
from hooklane.runtime.errors import CatalogError
from hooklane.schemas.event_types import EventType


def build(types: Iterable[EventType], title: str, release: str) -> Catalog:
    """The catalog.

    Raises:
        CatalogError: a type is not fit for it.
    """
    found = tuple(types)
    faults = list(catalog_faults(found))
    if faults:
        more = f" ({len(faults) - 1} more: see `hooklane catalog check`)" if faults[1:] else ""
        raise CatalogError(f"{faults[0]}{more}.")
    return Catalog(tuple(map(entry, found)), title, release)


def catalog_faults(types: Iterable[EventType]) -> Iterator[str]:
    """What stands against types in the catalog, a sentence each, beside what a folder refuses."""
    found = tuple(types)
    for one in found:
        for fault in type_faults(one):
            yield f"{one.name}: {fault}"
    for name in duplicate_slugs(one.name for one in found):
        yield f"{name}: its page would have the name of another type's; choose another name"


def type_faults(one: EventType) -> Iterator[str]:
    """References that a document of many schemas cannot follow, else that there is no sample."""
    faults = list(reference_faults(receivers_schema(one)))
    yield from faults
    if faults:
        return
    try:
        samples_of(one)
    except NoSampleError as error:
        yield str(error)


def reference_faults(schema: object) -> Iterator[str]:
    for place, part in enumerate(parts(schema)):
        for word in ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor"):
            if word in part and (place or word != "$id"):
                yield f"{word} is not taken: name what is shared under $defs, and use #/$defs/..."
        if isinstance(part.get("$ref"), str):
            try:
                resolved(schema, part["$ref"])
            except BadReferenceError as error:
                yield f"{error}; put what is shared under $defs"


def entry(one: EventType) -> Entry:
    """The type as the catalog shows it.

    Raises:
        NoSampleError: it has no example, and none could be made.
    """
    return Entry(
        name=one.name,
        title=one.title or "",
        description=one.description or "",
        topics=one.topics,
        key=one.key or "",
        deprecated=one.deprecated or one.replaced_by is not None,
        replaced_by=one.replaced_by,
        schema=receivers_schema(one),
        avro=None if one.avro is None else one.schema,
        samples=samples_of(one),
    )


def receivers_schema(one: EventType) -> dict[str, Any]:
    """The JSON Schema of what receivers get."""
    return dict(one.schema) if one.avro is None else json_schema(one.schema)


def samples_of(one: EventType) -> tuple[Sample, ...]:
    """Its examples, else one made from the schema.

    Raises:
        NoSampleError: none could be made that fits.
    """
    if one.examples:
        return tuple(Sample(_received(one, example)) for example in one.examples)
    try:
        made = sample(receivers_schema(one))
    except NoSampleError as error:
        raise NoSampleError(f"{error}; add an example to the schema") from error
    faults = one.faults(made)
    if faults:
        raise NoSampleError(f"no sample could be made ({faults[0]}); add an example to the schema")
    return (Sample(_received(one, made), made=True),)


def _received(one: EventType, data: Any) -> Any:
    """Avro data has every field when it arrives, those with a default too."""
    return data if one.avro is None else one.avro.decode(one.avro.encode(data))
