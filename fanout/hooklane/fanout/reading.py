"""How event data that is not JSON as it stands is read, and how data is judged by schemas."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from hooklane.fanout.judge import EventJudge
from hooklane.runtime.errors import SettingsError
from hooklane.runtime.metrics import Metrics
from hooklane.runtime.settings import Settings
from hooklane.runtime.settings_sections import Validation
from hooklane.schemas.avro_reader import AvroReader
from hooklane.schemas.decode_binary import DataReader
from hooklane.schemas.event_types import EventTypes, EventTypesError
from hooklane.schemas.event_types_read import read_event_types
from hooklane.schemas.registry_schemas import KnownSchemas


class Schemas(Protocol):
    """Where schemas that the reader lacks come from."""

    async def fetch(self, schema_id: int) -> bool:
        """Learn a schema, or that there is none: False. Raises HooklaneError while nobody says."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`reader` reads what is no JSON, `schemas` knows where more schemas are, `judge` judges."""

    reader: DataReader | None = None
    schemas: Schemas | None = None
    judge: EventJudge | None = None


JSON_ALONE = Reading()


@asynccontextmanager
async def reading_of(
    settings: Settings, metrics: Metrics, monotonic: Callable[[], float]
) -> AsyncIterator[Reading]:
    """By the settings; the connection to a registry is open while this is.

    Raises:
        SettingsError: a schema cannot be read, or a setting about them is wrong.
    """
    types = event_types_of(settings)
    judge = None
    if types is not None and settings.events.validation is not Validation.OFF:
        judge = EventJudge(types, settings.events.validation, metrics, monotonic)
    url = settings.schema_registry.url
    if url is None:
        reader = AvroReader(types, None) if types is not None and types.has_avro else None
        yield Reading(reader, None, judge)
        return
    # httpx takes a tenth of a second to import, and few installations have a registry.
    from hooklane.runtime.schema_registry import (  # noqa: PLC0415
        RegistrySchemas,
        SchemaRegistry,
    )

    registry = SchemaRegistry(settings.schema_registry, url.get_secret_value())
    try:
        known = KnownSchemas(monotonic)
        yield Reading(AvroReader(types, known), RegistrySchemas(registry, known), judge)
    finally:
        await registry.close()


def event_types_of(settings: Settings) -> EventTypes | None:
    """The event types of the folder, where one is set.

    Raises:
        SettingsError: it cannot be read, or validation is asked for without a folder.
    """
    folder = settings.events.schemas_dir
    if folder is None:
        if settings.events.validation is not Validation.OFF:
            raise SettingsError(
                "HOOKLANE_EVENTS__VALIDATION needs schemas: set HOOKLANE_EVENTS__SCHEMAS_DIR to "
                "their folder."
            )
        return None
    try:
        return read_event_types(folder)
    except EventTypesError as error:
        raise SettingsError(f"HOOKLANE_EVENTS__SCHEMAS_DIR: {error}.") from error
