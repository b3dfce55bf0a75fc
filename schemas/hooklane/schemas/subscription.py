"""The subscription document: who wants which events, where and how (YAML in files, JSON in Kafka).

Import this module only where the extra `services` is installed: it compiles CEL.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from hooklane.schemas.subscription_faults import (
    ANY,
    Fault,
    SubscriptionError,
    UnknownFormatError,
    faults_from,
)
from hooklane.schemas.subscription_parts import (
    Auth,
    DeliveryLimits,
    Format,
    Headers,
    Match,
    Ordering,
    Part,
    Payload,
    PluginAuth,
    Retry,
    Signing,
    State,
)
from hooklane.schemas.subscription_text import check_size
from hooklane.schemas.subscription_url import Url, check_header_names
from hooklane.schemas.subscription_values import (
    SHOWN,
    Instant,
    ServicePolicy,
    SubscriptionId,
    Uid,
)
from hooklane.schemas.topics import Delay

FORMAT = 1
"""The highest `format` that this version knows."""


class Subscription(Part):
    """One subscription. Made by `validate`; unset fields have the documented defaults."""

    format: Format | None = None
    id: SubscriptionId
    tenant: SubscriptionId | None = None
    state: State = State.ACTIVE
    url: Url
    match: Match = Match()
    ordering: Ordering = Ordering.KEY
    payload: Payload = Payload()
    signing: Signing | None = None
    auth: Auth | None = None
    headers: Annotated[Headers, AfterValidator(check_header_names)] = Field(default_factory=dict)
    delivery: DeliveryLimits = DeliveryLimits()
    retry: Retry = Retry()
    effective_from: Instant | None = None
    uid: Uid = ""

    @model_validator(mode="after")
    def _check_headers(self) -> "Subscription":
        taken = self.auth.header.name.lower() if self.auth and self.auth.header else None
        if taken in {name.lower() for name in self.headers}:
            raise ValueError("headers and auth.header set the same header: take one out")
        return self

    def document(self) -> dict[str, Any]:
        """The document as it was written: `validate` of it gives an equal subscription."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def shown(self) -> dict[str, Any]:
        """As `document`, for people: a secret that stands in it is only "set"."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, context=SHOWN)

    def record(self) -> tuple[bytes, bytes]:
        """The key and value of its record in the config topic."""
        value = json.dumps(self.document(), ensure_ascii=False, separators=(",", ":"))
        return self.id.encode(), value.encode()

    def schedule(self, policy: ServicePolicy) -> tuple[Delay, ...]:
        """The delays of its retries, in order: its own, else the service's tiers."""
        return policy.tiers if self.retry.schedule is None else self.retry.schedule

    def stamped(self, effective_from: datetime, uid: str) -> "Subscription":
        return self.model_copy(update={"effective_from": effective_from, "uid": uid})

    def carrying(self, held: "Subscription") -> "Subscription":
        """This document with the stamps of the one in force, also if they are absent there.

        An `effective_from` of its own stays.
        """
        taken = {"effective_from", "uid"} & held.model_fields_set
        if self.effective_from is not None:
            taken.discard("effective_from")
        return self.model_copy(update={name: getattr(held, name) for name in taken})

    def in_state(self, state: State) -> "Subscription":
        return self.model_copy(update={"state": state})


def validate(document: object, policy: ServicePolicy) -> Subscription:
    """Read a document, which is a tree of JSON values.

    Raises:
        UnknownFormatError: its `format` is higher than `FORMAT`.
        SubscriptionError: any other fault; it names every faulty field's path.
    """
    check_size(document)
    _check_format(document)
    return _read(document, policy)


def _read(document: object, policy: ServicePolicy) -> Subscription:
    try:
        # JSON mode: strict about kinds, but a list is a list and an enum's text is its member.
        return Subscription.model_validate_json(json.dumps(document), context=policy)
    except ValidationError as error:
        faults = faults_from(error.errors(include_url=False, include_input=False), _fields())
    # Outside of the handler, so that no chained error carries the input along.
    raise SubscriptionError(faults)


def json_schema() -> dict[str, Any]:
    """The document's JSON Schema (2020-12), for documentation and editors."""
    return Subscription.model_json_schema(by_alias=True)


def _check_format(document: object) -> None:
    if not isinstance(document, Mapping):
        raise SubscriptionError((Fault("", "must be a mapping of fields, such as id and url"),))
    found = document.get("format")
    if isinstance(found, int) and not isinstance(found, bool) and found > FORMAT:
        said = f"{found} is newer than this version knows ({FORMAT}): upgrade Hooklane"
        raise UnknownFormatError((Fault("format", said),))


@cache
def _fields() -> dict[tuple[str, ...], tuple[str, ...]]:
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    _collect_fields(Subscription, (), found)
    _collect_fields(PluginAuth, ("auth", ANY), found)
    return found


def _collect_fields(
    part: type[BaseModel], place: tuple[str, ...], found: dict[tuple[str, ...], tuple[str, ...]]
) -> None:
    found[place] = tuple(part.model_fields)
    for name, info in part.model_fields.items():
        for kind in (info.annotation, *getattr(info.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, Part):
                _collect_fields(kind, (*place, name), found)
