"""The OpenAPI 3.1 document: a webhook for each event type. Pure."""

from typing import Any, Final

from hooklane.ops.catalog_delivery import ANSWERS, HEADERS, RETRY_AFTER, SIGNATURE, SIGNING, Header
from hooklane.ops.catalog_entry import Catalog, Entry, component, own_facts

_SCHEMAS: Final = "#/components/schemas/"
_ENVELOPE: Final = "CloudEvent"
_SCHEME: Final = "signature"
_ABOUT: Final = (
    "What is sent to receivers: one POST for each event. The receiver's address and the kind of "
    "body (the data alone, or a structured CloudEvent) are the subscription's."
)


def openapi(catalog: Catalog) -> dict[str, Any]:
    """The whole document. Types of one family are one tag."""
    return {
        "openapi": "3.1.0",
        "info": {"title": catalog.title, "version": catalog.release, "description": _ABOUT},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "tags": [{"name": family.name} for family in catalog.families()],
        "webhooks": {
            version.name: {"post": _operation(catalog.by_name()[version.name], family.name)}
            for family in catalog.families()
            for version in family.versions
        },
        "components": {
            "schemas": {
                _ENVELOPE: _envelope(),
                **{one.slug: component(one, _SCHEMAS + one.slug) for one in catalog.entries},
            },
            "parameters": {one.name: _parameter(one) for one in HEADERS if not _is_special(one)},
            "responses": {one.name: _response(one) for one in ANSWERS},
            "securitySchemes": {
                _SCHEME: {
                    "type": "apiKey",
                    "in": "header",
                    "name": SIGNATURE,
                    "description": SIGNING,
                }
            },
        },
    }


def _operation(entry: Entry, family: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": entry.slug,
        "summary": entry.title or entry.name,
        "tags": [family],
        "security": [{_SCHEME: []}],
        "parameters": _parameters(entry),
        "requestBody": {"required": True, "content": _content(entry)},
        "responses": {
            one.status: {"$ref": f"#/components/responses/{one.name}"} for one in ANSWERS
        },
    }
    if entry.about:
        found["description"] = entry.about
    if entry.deprecated:
        found["deprecated"] = True
    if own_facts(entry):
        found["x-hooklane"] = own_facts(entry)
    return found


def _parameters(entry: Entry) -> list[dict[str, Any]]:
    return [
        _parameter(one, {"const": entry.name}, entry.name)
        if one.name == "ce-type"
        else {"$ref": f"#/components/parameters/{one.name}"}
        for one in HEADERS
        if one.name != SIGNATURE
    ]


def _is_special(header: Header) -> bool:
    """The signature is the security scheme, the type is each operation's own."""
    return header.name in {SIGNATURE, "ce-type"}


def _parameter(
    header: Header, schema: dict[str, Any] | None = None, example: str | None = None
) -> dict[str, Any]:
    schema = schema or header.schema
    text = example or header.example
    return {
        "name": header.name,
        "in": "header",
        "required": header.always,
        "description": header.description,
        "schema": dict(schema),
        "example": int(text) if schema.get("type") == "integer" else text,
    }


def _content(entry: Entry) -> dict[str, Any]:
    data = {"$ref": _SCHEMAS + entry.slug}
    return {
        "application/json": {
            "schema": data,
            "examples": {
                f"sample{number}": {"value": one.data}
                for number, one in enumerate(entry.samples, 1)
            },
        },
        "application/cloudevents+json": {
            "schema": {
                "allOf": [{"$ref": _SCHEMAS + _ENVELOPE}],
                "properties": {"type": {"const": entry.name}, "data": data},
            }
        },
    }


def _envelope() -> dict[str, Any]:
    """Of a subscription with `payload.mode: structured`."""
    attributes = [one for one in HEADERS if one.name.startswith("ce-")]
    properties = {
        one.name.removeprefix("ce-"): {**one.schema, "description": one.description}
        for one in attributes
    }
    return {
        "title": "CloudEvent",
        "description": "An event with its attributes in the body.",
        "type": "object",
        "properties": {**properties, "datacontenttype": {"type": "string"}, "data": {}},
        "required": [one.name.removeprefix("ce-") for one in attributes if one.always],
    }


def _response(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"description": answer.description}
    if answer.retry_after:
        found["headers"] = {
            RETRY_AFTER.name: {
                "description": RETRY_AFTER.description,
                "schema": dict(RETRY_AFTER.schema),
            }
        }
    return found
