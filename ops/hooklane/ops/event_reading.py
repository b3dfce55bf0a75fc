"""Reads records of event topics as the fan-out does: Avro by its schemas, refusals by validation.

For commands, which may wait: a schema that is not known yet is asked of the registry at once.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TypeAlias

from hooklane.fanout.judge import refusal_of
from hooklane.fanout.reading import event_types_of
from hooklane.ops.output import notice
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.settings import Settings
from hooklane.runtime.settings_sections import Validation
from hooklane.schemas.avro_reader import AvroReader
from hooklane.schemas.decode import decode
from hooklane.schemas.event import NeedsSchema, SourceRecord, Told, Unreadable
from hooklane.schemas.registry_schemas import KnownSchemas, MissingSchema, RegisteredSchema

Read: TypeAlias = Callable[[SourceRecord], Told]
"""What a record is, with data in JSON."""


class EventReading:
    """For one command; not for several threads at once.

    Raises:
        SettingsError: a schema of the folder cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._types = event_types_of(settings)
        self._refuses = settings.events.validation is Validation.REFUSE
        has_registry = settings.schema_registry.url is not None
        self._known = KnownSchemas(time.monotonic)
        self._reader = AvroReader(self._types, self._known if has_registry else None)
        self._away = False

    def read(self, record: SourceRecord) -> Told:
        """The event as the fan-out would deliver it.

        Raises:
            HooklaneError: the registry does not answer.
        """
        found = decode(record, self._reader)
        if isinstance(found, NeedsSchema):
            self._known.learn(found.schema_id, asyncio.run(self._fetched(found.schema_id)))
            return self.read(record)
        if isinstance(found, Unreadable):
            return found
        if self._refuses and self._types is not None:
            refusal = refusal_of(self._types, found)
            if refusal is not None:
                return refusal
        found.become_json()
        return found.unreadable or found

    def looked_at(self, record: SourceRecord) -> Told:
        """The same; without the registry it is at least known whose event it is."""
        if not self._away:
            try:
                return self.read(record)
            except HooklaneError as error:
                self._away = True
                notice(f"{error}: data in Avro is not looked at.")
        return decode(record)

    async def _fetched(self, schema_id: int) -> RegisteredSchema | MissingSchema:
        # Not before it is needed: it takes a tenth of a second to import.
        from hooklane.runtime.schema_registry import SchemaRegistry  # noqa: PLC0415

        url = self._settings.schema_registry.url
        assert url is not None  # noqa: S101 - nobody asks for schemas without it
        registry = SchemaRegistry(self._settings.schema_registry, url.get_secret_value())
        try:
            return await registry.schema(schema_id)
        finally:
            await registry.close()
