"""The OpenAPI and AsyncAPI documents of a catalog, against the specifications' own schemas."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from hooklane.delivery.headers import attributes
from hooklane.delivery.request import AttemptFacts, Destination, build
from hooklane.delivery.signing.standard import StandardSigner
from hooklane.ops.catalog_asyncapi import asyncapi
from hooklane.ops.catalog_delivery import HEADERS, SIGNATURE
from hooklane.ops.catalog_files import in_yaml
from hooklane.ops.catalog_openapi import openapi
from hooklane.ops.catalog_pointer import resolved
from hooklane.schemas.decode import decode
from hooklane.schemas.event import Event, SourceRecord
from tests.support.catalog_facts import the_catalog

ASYNCAPI = json.loads((Path(__file__).parent / "data/asyncapi/3.0.0.json").read_text())
CATALOG = the_catalog()
OPEN = openapi(CATALOG)
ASYNC = asyncapi(CATALOG)
NAMES = ["customer.created", "invoice.paid.v1", "invoice.paid.v2", "order.shipped"]


def openapi_faults(document: dict[str, Any]) -> list[str]:
    return [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]


def asyncapi_faults(document: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(ASYNCAPI).iter_errors(document)]


def every_reference(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        if isinstance(document.get("$ref"), str):
            yield document["$ref"]
        for inner in document.values():
            yield from every_reference(inner)
    elif isinstance(document, list):
        for inner in document:
            yield from every_reference(inner)


def judge(document: dict[str, Any], schema: object) -> jsonschema.Draft202012Validator:
    """Of data, by a schema that stands in a document."""
    return jsonschema.Draft202012Validator({**document, "allOf": [schema]})


def test_openapi_is_valid() -> None:
    """The specification's schema finds nothing, and it is not one that finds nothing ever."""
    assert openapi_faults(OPEN) == []
    wrong = deepcopy(OPEN)
    wrong["webhooks"]["order.shipped"]["post"]["responses"]["2XX"] = {}
    assert openapi_faults(wrong) != []


def test_asyncapi_is_valid() -> None:
    """The specification's schema finds nothing, and it is not one that finds nothing ever."""
    assert asyncapi_faults(ASYNC) == []
    for place, name, value in [
        ("channels", "billing.events", {"adress": "x"}),
        ("operations", "billing.events.publish.invoice.paid.v1", {"action": "emit"}),
        ("components", "messages", {"a": {"payloads": {}}}),
    ]:
        wrong = deepcopy(ASYNC)
        wrong[place][name] = value
        assert asyncapi_faults(wrong) != [], place


@pytest.mark.parametrize("document", [OPEN, ASYNC], ids=["openapi", "asyncapi"])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """Those within the types' own schemas too, which stand elsewhere than in their files."""
    found = set(every_reference(document))
    assert len(found) > 10
    for one in found:
        assert resolved(document, one) is not None


@pytest.mark.parametrize("document", [OPEN, ASYNC], ids=["openapi", "asyncapi"])
def test_yaml_says_the_same(document: dict[str, Any]) -> None:
    """Read again it is the same document."""
    assert yaml.safe_load(in_yaml(document)) == document


def test_every_type_is_a_webhook() -> None:
    """With samples, its type in the header, the signature as security, what answers mean."""
    assert sorted(OPEN["webhooks"]) == NAMES
    for name in NAMES:
        post = OPEN["webhooks"][name]["post"]
        assert post["security"] == [{"signature": []}]
        assert {"2XX", "410", "429", "503", "default"} == set(post["responses"])
        own = [one for one in post["parameters"] if one.get("name") == "ce-type"]
        assert [one["schema"] for one in own] == [{"const": name}]
        content = post["requestBody"]["content"]
        schema = content["application/json"]["schema"]
        for example in content["application/json"]["examples"].values():
            assert list(judge(OPEN, schema).iter_errors(example["value"])) == []
            whole = {"specversion": "1.0", "id": "1", "source": "/s", "type": name}
            structured = content["application/cloudevents+json"]["schema"]
            found = judge(OPEN, structured)
            assert found.is_valid({**whole, "data": example["value"]})
            assert not found.is_valid({**whole, "data": example["value"], "type": "x"})
            assert not found.is_valid({**whole, "data": 7})
    retry = OPEN["components"]["responses"]["TooMany"]["headers"]
    assert list(retry) == ["Retry-After"]


def test_the_headers_are_those_that_are_sent() -> None:
    """What is called always there is there, and nothing is sent that the documents do not name."""
    headers = {"event-type": b"order.paid", "ce_subject": b"o/1"}
    record = SourceRecord("t", "ab" * 16, 0, 41, 1, b"k", b"{}", tuple(headers.items()))
    event = decode(record)
    assert isinstance(event, Event)
    assert dict(attributes(event))["partitionkey"] == "k"
    trace = f"00-{'1' * 32}-{'2' * 16}-01"
    facts = AttemptFacts("msg_" + "0" * 32, 41, 1, "run", 7, trace, lane="ab" * 16)
    signer = StandardSigner([b"whsec_" + b"A" * 32])
    request = build(event, facts, Destination("https://x", "binary", (), 1, 1), signer)
    sent = {line.partition(":")[0] for line in request.lines}
    named = {one.name for one in HEADERS}
    assert {one.name for one in HEADERS if one.always} <= sent
    assert sent - {"content-type"} <= named
    parameters = OPEN["components"]["parameters"]
    assert named - parameters.keys() == {SIGNATURE, "ce-type"}


def test_deprecation_is_said() -> None:
    """Of the old version alone, with what replaces it, in both documents."""
    for name in NAMES:
        old = name == "invoice.paid.v1"
        post = OPEN["webhooks"][name]["post"]
        message = ASYNC["components"]["messages"][name]
        assert post.get("deprecated", False) is old
        assert message.get("deprecated", False) is old
        assert OPEN["components"]["schemas"][name].get("deprecated", False) is old
        for about in (post, message):
            said = "Deprecated: replaced by invoice.paid.v2." in about.get("description", "")
            assert said is old
            assert about.get("x-hooklane", {}).get("replaced_by") == (
                "invoice.paid.v2" if old else None
            )


def test_what_publishers_write() -> None:
    """A channel a topic, the key; Avro by its own schema, newer JSON Schema by its name."""
    channels = ASYNC["channels"]
    assert {name: sorted(one["messages"]) for name, one in channels.items()} == {
        "billing.events": ["invoice.paid.v1", "invoice.paid.v2"],
        "orders.events": ["order.shipped"],
        "warehouse.events": ["order.shipped"],
    }
    assert set(ASYNC["operations"]) == {
        "billing.events.publish.invoice.paid.v1",
        "billing.events.publish.invoice.paid.v2",
        "orders.events.publish.order.shipped",
        "warehouse.events.publish.order.shipped",
    }
    assert {one["action"] for one in ASYNC["operations"].values()} == {"send"}
    shipped = ASYNC["components"]["messages"]["order.shipped"]
    assert shipped["contentType"] == "application/avro"
    assert shipped["bindings"]["kafka"]["key"]["description"] == "the order's number"
    assert shipped["headers"]["properties"]["ce_type"]["const"] == "order.shipped"
    schemas = ASYNC["components"]["schemas"]
    assert schemas["order.shipped"]["schemaFormat"].startswith("application/vnd.apache.avro")
    assert schemas["order.shipped"]["schema"]["name"] == "OrderShipped"
    assert "2020-12" in schemas["customer.created"]["schemaFormat"]
    assert schemas["customer.created"]["schema"]["properties"]["friends"]["items"] == {
        "$ref": "#/components/schemas/customer.created/schema"
    }
    # What draft 7 knows too stands there in AsyncAPI's own form, which every tool reads.
    assert schemas["invoice.paid.v1"]["type"] == "object"
