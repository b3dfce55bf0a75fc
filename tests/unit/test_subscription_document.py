"""The subscription document: what is taken, what is refused and with which words."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from hooklane.schemas.subscription import Subscription, json_schema, validate
from hooklane.schemas.subscription_faults import SubscriptionError, UnknownFormatError
from hooklane.schemas.subscription_parts import OnExhausted, Ordering, PayloadMode, State
from hooklane.schemas.subscription_values import ServicePolicy
from hooklane.schemas.topics import Delay

POLICY = ServicePolicy()
LEAST: Mapping[str, Any] = {"id": "billing", "url": "https://hooks.example.com/invoices"}
WHOLE: Mapping[str, Any] = {
    "format": 1,
    "id": "billing-invoices",
    "tenant": "acme",
    "state": "paused",
    "url": "https://hooks.example.com:8443/invoices?a=b",
    "match": {
        "topics": ["billing.events", "shop.*"],
        "types": ["invoice.*"],
        "filters": [
            {"any": [{"prefix": {"subject": "eu-"}}, {"exact": {"source": "/billing"}}]},
            {"all": [{"not": {"suffix": {"type": ".draft"}}}]},
            {"cel": "data.amount > 100"},
        ],
    },
    "ordering": "none",
    "payload": {"mode": "template", "template": '{"text": "x"}', "content_type": "text/plain"},
    "signing": {"scheme": "standard", "secrets": ["env:HOOKLANE_SECRET_A", "enc:v1:YWJj"]},
    "auth": {"bearer": {"token": "file:billing-token"}},
    "headers": {"X-Environment": "production"},
    "delivery": {
        "timeout": "15s",
        "connect_timeout": "500ms",
        "max_in_flight": 8,
        "rate_limit": "100/s",
        "engine": "httpx",
    },
    "retry": {"schedule": ["5s", "5s", "5m"], "on_exhausted": "halt", "give_up_on": [400, 422]},
    "effective_from": "2026-11-01T00:00:00Z",
    "uid": "01JD0000000000000000000000",
}


def with_fields(**fields: object) -> dict[str, Any]:
    return {**LEAST, **fields}


def faults_of(document: object, policy: ServicePolicy = POLICY) -> list[str]:
    with pytest.raises(SubscriptionError) as caught:
        validate(document, policy)
    return [str(fault) for fault in caught.value.faults]


def test_a_least_document_has_the_documented_defaults() -> None:
    """Only id and url are needed; everything else has its documented default."""
    found = validate(LEAST, POLICY)
    assert (found.state, found.ordering, found.payload.mode) == (
        State.ACTIVE,
        Ordering.KEY,
        PayloadMode.BINARY,
    )
    assert (found.delivery.timeout.seconds, found.delivery.connect_timeout.seconds) == (15.0, 5.0)
    assert (found.delivery.max_in_flight, found.retry.on_exhausted) == (32, OnExhausted.DEAD_LETTER)
    assert found.schedule(POLICY) == POLICY.tiers
    assert (found.uid, found.effective_from, found.signing) == ("", None, None)


@pytest.mark.parametrize("document", [LEAST, WHOLE], ids=["least", "whole"])
def test_a_document_goes_to_the_topic_as_it_was_written(document: Mapping[str, Any]) -> None:
    """Document to model to record to document is the same, field by field."""
    found = validate(document, POLICY)
    key, value = found.record()
    assert key == found.id.encode()
    assert json.loads(value) == document
    assert validate(json.loads(value), POLICY) == found


def test_a_whole_document_is_read() -> None:
    """Every field of the design's document arrives as a typed value."""
    found = validate(WHOLE, POLICY)
    assert found.effective_from == datetime(2026, 11, 1, tzinfo=UTC)
    assert found.delivery.rate_limit is not None
    assert (found.delivery.rate_limit.count, found.delivery.rate_limit.per_s) == (100, 1.0)
    assert [delay.seconds for delay in found.schedule(POLICY)] == [5.0, 5.0, 300.0]
    assert found.signing is not None
    assert list(map(str, found.signing.secrets)) == ["env:HOOKLANE_SECRET_A", "enc:v1:YWJj"]


def test_a_schedule_takes_the_name_of_the_service_s_tier() -> None:
    """`300s` is the tier `5m` of a service that calls it so: its text names the tier's topic."""
    found = validate(with_fields(retry={"schedule": ["300s"]}), POLICY)
    assert found.retry.schedule is not None
    assert found.retry.schedule[0].text == "5m"


FAULTS: Mapping[str, tuple[dict[str, Any], str]] = {
    "id": ({"id": "Billing"}, "id: 'Billing' is not an id"),
    "id newline": ({"id": "billing\n"}, "id: 'billing\\n' is not an id"),
    "id long": ({"id": "a" * 129}, "id: "),
    "id kind": ({"id": 7}, "id: must be text"),
    "unknown field": ({"urls": []}, "urls: is not a field here: write one of format, id,"),
    "unknown nested": ({"match": {"topic": "a"}}, "match.topic: is not a field here: write one of"),
    "unknown auth": (
        {"auth": {"basic": {"username": "u", "password": "file:p", "realm": "x"}}},
        "auth.basic.realm: is not a field here: write one of username, password",
    ),
    "state": ({"state": "off"}, "state: must be active, paused or disabled"),
    "tenant": ({"tenant": ""}, "tenant: '' is not an id"),
    "ordering": ({"ordering": "fifo"}, "ordering: must be key or none"),
    "topics empty": ({"match": {"topics": []}}, "match.topics: must not be empty"),
    "topics char": ({"match": {"topics": ["a b"]}}, "match.topics[0]: 'a b' is not a topic"),
    "types kind": ({"match": {"types": "a"}}, "match.types: must be a list"),
    "type kind": ({"match": {"types": [1]}}, "match.types[0]: must be an event type"),
    "match kind": ({"match": []}, "match: must be a mapping"),
    "template missing": ({"payload": {"mode": "template"}}, "payload: must have a template"),
    "template broken": (
        {"payload": {"mode": "template", "template": "{{ data.x | nothing }}"}},
        "payload.template: cannot be read as Liquid: there is no filter nothing",
    ),
    "template unused": ({"payload": {"template": "x"}}, "payload: must have mode: template"),
    "media type": (
        {"payload": {"mode": "template", "template": "x", "content_type": "a\r\nb: c"}},
        "payload: must have a media type",
    ),
    "scheme": ({"signing": {"scheme": "md5", "secrets": []}}, "signing.scheme: must be standard,"),
    "no secrets": ({"signing": {"secrets": []}}, "signing: must have 1 to 10 secrets"),
    "secrets missing": ({"signing": {}}, "signing.secrets: is required"),
    "two for github": (
        {"signing": {"scheme": "github", "secrets": ["file:a", "file:b"]}},
        "signing: must have one secret: github",
    ),
    "env name": ({"auth": {"bearer": {"token": "env:HOME"}}}, "auth.bearer.token: env: must name"),
    "file path": ({"auth": {"bearer": {"token": "file:../x"}}}, "auth.bearer.token: file: must be"),
    "file dots": ({"auth": {"bearer": {"token": "file:.."}}}, "auth.bearer.token: file: must be"),
    "enc": ({"auth": {"bearer": {"token": "enc:v9:a"}}}, "auth.bearer.token: enc: must be what"),
    "auth none": ({"auth": {}}, "auth: must have exactly one of"),
    "auth two": (
        {"auth": {"bearer": {"token": "file:a"}, "header": {"name": "X-K", "value": "file:b"}}},
        "auth: must have exactly one of",
    ),
    "auth header name": (
        {"auth": {"header": {"name": "Host", "value": "file:b"}}},
        "auth.header.name: 'Host' is set by Hooklane",
    ),
    "auth header twice": (
        {"auth": {"header": {"name": "X-K", "value": "file:b"}}, "headers": {"x-k": "1"}},
        "headers and auth.header set the same header",
    ),
    "basic user": (
        {"auth": {"basic": {"username": "a:b", "password": "file:p"}}},
        "auth.basic: must have a username without a colon",
    ),
    "token url": (
        {"auth": {"oauth2": {"token_url": "ftp://h", "client_id": "c", "client_secret": "file:s"}}},
        "auth.oauth2.token_url: must begin with https://",
    ),
    "timeout unit": ({"delivery": {"timeout": "15"}}, "delivery.timeout: '15' is not a duration"),
    "timeout kind": ({"delivery": {"timeout": 15}}, "delivery.timeout: must be text, such as 15s"),
    "timeout huge": ({"delivery": {"timeout": "9" * 400 + "s"}}, "delivery.timeout: '999"),
    "timeout newline": ({"delivery": {"timeout": "15s\n"}}, "delivery.timeout: '15s\\n' is not"),
    "timeout long": ({"delivery": {"timeout": "1h"}}, "delivery.timeout: 1h is too long"),
    "in flight": ({"delivery": {"max_in_flight": 0}}, "delivery.max_in_flight: must be 1 or more"),
    "in flight kind": (
        {"delivery": {"max_in_flight": True}},
        "delivery.max_in_flight: must be a whole number",
    ),
    "rate": ({"delivery": {"rate_limit": "0/s"}}, "delivery.rate_limit: '0/s' is not a rate"),
    "engine": ({"delivery": {"engine": "curl"}}, "delivery.engine: must be native or httpx"),
    "no tier": ({"retry": {"schedule": ["7s"]}}, "retry.schedule[0]: 7s is not a tier of this"),
    "give up": ({"retry": {"give_up_on": [200]}}, "retry.give_up_on[0]: must be 300 or more"),
    "exhausted": ({"retry": {"on_exhausted": "stop"}}, "retry.on_exhausted: must be dead-letter"),
    "naive time": ({"effective_from": "2026-11-01T00:00:00"}, "effective_from: '2026-11-01T00"),
    "no such day": ({"effective_from": "2026-02-30T00:00:00Z"}, "effective_from: '2026-02-30T00"),
    "uid": ({"uid": "a b"}, "uid: must be at most 64 letters"),
    "format": ({"format": "1"}, "format: must be 1"),
}


@pytest.mark.parametrize(("fields", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_names_its_field(fields: dict[str, Any], said: str) -> None:
    """A wrong field is refused in one line that begins with its path."""
    faults = faults_of(with_fields(**fields))
    assert any(fault.startswith(said) for fault in faults), faults
    assert all("\n" not in fault for fault in faults)


def test_all_faults_are_told_at_once() -> None:
    """A document with several faults names each of them."""
    faults = faults_of({"url": "https://h", "state": 1, "headers": {"Host": "x"}})
    assert [fault.split(":")[0] for fault in faults] == ["id", "state", "headers.Host"]


@pytest.mark.parametrize("document", [None, 1, "x", [], [LEAST]])
def test_a_document_is_a_mapping(document: object) -> None:
    """Anything but a mapping is refused as a whole."""
    assert faults_of(document) == ["must be a mapping of fields, such as id and url"]


def test_a_newer_format_is_told_apart() -> None:
    """A `format` above the known one is not bad but unknown, whatever else is in the document."""
    with pytest.raises(UnknownFormatError, match="format: 2 is newer"):
        validate(with_fields(format=2, brand_new={"a": 1}), POLICY)


def test_plain_secrets_need_leave_and_are_never_shown() -> None:
    """A literal secret is refused by default; where allowed, no text form of it has the secret."""
    document = with_fields(
        signing={"secrets": ["whsec_canary"]},
        auth={"basic": {"username": "u", "password": "canary-2"}},
    )
    faults = faults_of(document)
    assert [fault.split(":")[0] for fault in faults] == [
        "signing.secrets[0]",
        "auth.basic.password",
    ]
    found = validate(document, ServicePolicy(allow_plaintext_secrets=True))
    shown = f"{found!r} {found} {found.signing!r} {found.shown()}"
    assert "canary" not in shown
    assert "set" in found.shown()["signing"]["secrets"]
    assert found.document() == document


def test_no_error_carries_a_secret() -> None:
    """Neither the text of a refusal nor an error chained to it repeats what may be a secret."""
    document = with_fields(
        url="https://user:canary@h/",
        signing={"secrets": [["canary"], "env:canary", "file:can/ary", "enc:canary", "canary"]},
        auth={"bearer": {"token": {"canary": 1}}, "basic": "canary"},
        headers={"X-A": "canary\r\n"},
    )
    with pytest.raises(SubscriptionError) as caught:
        validate(document, POLICY)
    error: BaseException | None = caught.value
    while error is not None:
        assert "canary" not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__


def test_http_needs_leave() -> None:
    """An http:// URL is judged against the service's policy, also for a token endpoint."""
    document = with_fields(url="http://localhost:8000/x")
    assert faults_of(document)[0].startswith("url: must begin with https://")
    assert validate(document, ServicePolicy(allow_http=True)).url == "http://localhost:8000/x"


def test_tiers_are_the_service_s() -> None:
    """A schedule is judged against the service's tiers, not against the default ones."""
    policy = ServicePolicy(tiers=(Delay.parse("1s"), Delay.parse("2s")))
    assert validate(with_fields(retry={"schedule": ["2s", "2s"]}), policy).retry.schedule
    said = "retry.schedule[0]: 5s is not a tier of this service: write one of 1s, 2s"
    assert faults_of(with_fields(retry={"schedule": ["5s"]}), policy) == [said]


def test_stamps_are_carried_over() -> None:
    """A new version keeps the stamps of the one in force; without stamps there it gets none."""
    held = validate(WHOLE, POLICY)
    wanted = validate(with_fields(state="disabled"), POLICY)
    assert wanted.carrying(held).uid == held.uid
    assert wanted.carrying(held).effective_from == held.effective_from
    assert wanted.carrying(validate(LEAST, POLICY)).document() == wanted.document()


def test_a_subscription_cannot_be_changed() -> None:
    """A validated subscription is frozen."""
    found: Any = validate(LEAST, POLICY)
    with pytest.raises(ValueError, match="frozen"):
        found.state = State.PAUSED


def test_the_json_schema_has_every_field() -> None:
    """The exported JSON Schema names the document's fields and dialects."""
    schema = json_schema()
    assert set(schema["properties"]) == set(Subscription.model_fields)
    assert schema["additionalProperties"] is False
    assert {"Exact", "Prefix", "Suffix", "All", "Any", "Not", "Cel"} <= set(schema["$defs"])
