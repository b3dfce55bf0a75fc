"""The AsyncAPI 3 document: topics and messages, for those who publish. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from hooklane.ops.catalog_entry import Catalog, Entry, component, own_facts, slug
from hooklane.ops.catalog_pointer import parts
from hooklane.producer.typed import AVRO
from hooklane.schemas.cloudevents_content_type import JSON

AVRO_FORMAT: Final = "application/vnd.apache.avro+json;version=1.9.0"
JSON_FORMAT: Final = "application/schema+json;version=draft-2020-12"
_NEWER: Final = frozenset(
    {
        "$anchor",
        "$dynamicAnchor",
        "$dynamicRef",
        "dependentRequired",
        "dependentSchemas",
        "maxContains",
        "minContains",
        "prefixItems",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
"""What JSON Schema's draft 7, which AsyncAPI's own form of schemas is based on, does not know."""
_BESIDE: Final = frozenset(
    {"$ref", "$defs", "$schema", "$id", "title", "description", "deprecated", "examples"}
)
_BINDING: Final = "0.5.0"
_ABOUT: Final = (
    "What services publish to Kafka. Webhooks are made of it: the OpenAPI document beside this one "
    "says what receivers get."
)
_HEADERS: Final[Mapping[str, Any]] = {
    "ce_specversion": {"const": "1.0", "description": "The version of CloudEvents."},
    "ce_id": {"type": "string", "description": "The event's id, unique within its source."},
    "ce_source": {"type": "string", "format": "uri-reference", "description": "Where it happened."},
    "ce_time": {"type": "string", "format": "date-time", "description": "When it happened."},
    "ce_subject": {"type": "string", "description": "What it happened to."},
    "traceparent": {"type": "string", "description": "W3C Trace Context of the publisher."},
}


def asyncapi(catalog: Catalog) -> dict[str, Any]:
    """The whole document, as the application that publishes sees it."""
    topics = catalog.topics()
    return {
        "asyncapi": "3.0.0",
        "info": {"title": catalog.title, "version": catalog.release, "description": _ABOUT},
        "defaultContentType": JSON,
        "channels": {slug(topic): _channel(topic, those) for topic, those in topics.items()},
        "operations": {
            f"{slug(topic)}.publish.{one.slug}": _operation(one, topic)
            for topic, those in topics.items()
            for one in those
        },
        "components": {
            "schemas": {one.slug: _schema(one) for one in catalog.entries},
            "messages": {one.slug: _message(one) for one in catalog.entries},
        },
    }


def _channel(topic: str, entries: tuple[Entry, ...]) -> dict[str, Any]:
    return {
        "address": topic,
        "description": "A Kafka topic. Events of one key stay in order.",
        "messages": {one.slug: {"$ref": f"#/components/messages/{one.slug}"} for one in entries},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": _BINDING}},
    }


def _operation(entry: Entry, topic: str) -> dict[str, Any]:
    channel = f"#/channels/{slug(topic)}"
    return {
        "action": "send",
        "summary": f"Publish {entry.name}.",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{entry.slug}"}],
    }


def _message(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": entry.name,
        "title": entry.title or entry.name,
        "contentType": JSON if entry.avro is None else AVRO,
        "headers": _headers(entry),
        "payload": {"$ref": f"#/components/schemas/{entry.slug}"},
        "bindings": {"kafka": {"key": _key(entry), "bindingVersion": _BINDING}},
        "examples": [
            {"name": f"sample{number}", "payload": one.data}
            for number, one in enumerate(entry.samples, 1)
        ],
    }
    if entry.about:
        found["description"] = entry.about
    if entry.deprecated:
        found["deprecated"] = True
        found["tags"] = [{"name": "deprecated", "description": entry.warning}]
    if own_facts(entry):
        found["x-hooklane"] = own_facts(entry)
    return found


def _headers(entry: Entry) -> dict[str, Any]:
    own = {
        "ce_type": {"const": entry.name, "description": "What happened: the event type."},
        "content-type": {"type": "string", "description": "The data's media type."},
    }
    return {
        "type": "object",
        "properties": {**_HEADERS, **own},
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"],
    }


def _key(entry: Entry) -> dict[str, Any]:
    return {"type": "string", "description": entry.key or "Events of one key stay in order."}


def _schema(entry: Entry) -> dict[str, Any]:
    """As publishers write it. What newer words of JSON Schema say is left in its own format."""
    if entry.avro is not None:
        return {"schemaFormat": AVRO_FORMAT, "schema": entry.avro}
    at = f"#/components/schemas/{entry.slug}"
    if not any(_is_newer(one) for one in parts(entry.schema)):
        return component(entry, at)
    return {"schemaFormat": JSON_FORMAT, "schema": component(entry, f"{at}/schema")}


def _is_newer(part: Mapping[str, Any]) -> bool:
    """Draft 7 also takes nothing beside a `$ref`: there may only be words about it."""
    return not _NEWER.isdisjoint(part) or ("$ref" in part and not part.keys() <= _BESIDE)
