"""The settings of `[delivery]`: whom deliveries may reach, and how.

`docs/settings.md` is made from this module too.
"""

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, JsonValue

from hooklane.runtime.settings_types import (
    URL_KIND,
    Network,
    SecretUrl,
    Section,
    Size,
    header_name,
)
from hooklane.schemas.subscription_values import EngineName

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME: Final = re.compile(rf"{_LABEL}(?:[.]{_LABEL})*")


def _dns_name(value: str) -> str:
    if not _DNS_NAME.fullmatch(value) or len(value) > 253:
        raise ValueError(f"{value!r} is not a DNS name such as events.example.com")
    return value


class DeliverySettings(Section):
    allow_http: bool = Field(
        default=False, description="Whether `http://` URLs may be delivered to."
    )
    allow_networks: tuple[Network, ...] = Field(
        default=(),
        description="Networks (JSON list of CIDRs) that may be reached although they are private.",
    )
    deny_networks: tuple[Network, ...] = Field(
        default=(),
        description="Networks (JSON list of CIDRs) that are never reached, although public or "
        "allowed.",
    )
    deny_ports: tuple[Annotated[int, Field(ge=0, le=65535)], ...] = Field(
        default=(0, 22, 25),
        description="Ports that are never delivered to (JSON list), besides Kafka's and the "
        "service's own.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="File of authorities (PEM) that receivers' certificates are checked against "
        "besides the system's, read again when it changes.",
    )
    engine: EngineName = Field(
        default=EngineName.NATIVE,
        description="HTTP client of subscriptions that name none: `native`, or the slower `httpx`, "
        "whose connections `HOOKLANE_DELIVERY__TRANSPORT` may make.",
    )
    origin: Annotated[str, AfterValidator(_dns_name)] | None = Field(
        default=None,
        description="DNS name that this installation goes by where subscriptions ask for a "
        "`delivery.handshake`.",
    )
    rate_share: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="Part of each subscription's `delivery.rate_limit` that this process may use. "
        "Processes do not know of each other: with two fan-outs and one retrier, 0.33 in each "
        "keeps them together below the limit.",
    )
    proxy: SecretUrl | None = Field(
        default=None,
        description="HTTP proxy for all deliveries but those of `HOOKLANE_DELIVERY__TRANSPORT`, "
        "`http://` or `https://`, with a user's name and password if it asks for them. "
        "`HTTP_PROXY` and its kin are never read.",
        json_schema_extra=URL_KIND,
    )
    proxy_judges: bool = Field(
        default=False,
        description="Whether the proxy looks names up and decides who may be reached. Otherwise "
        "the address guard does, and the proxy is asked for the judged address.",
    )
    transport: str | None = Field(
        default=None,
        description="What makes the connections of the client `httpx`, as "
        "`package.module:callable`: called with `verify` and the options, it gives an "
        "`httpx.AsyncBaseTransport`, such as `httpx:AsyncHTTPTransport`. "
        "`HOOKLANE_DELIVERY__PROXY` is then for the client `native` only: name the transport's own "
        "proxy, if it is to have one, in its options.",
    )
    transport_options: dict[str, JsonValue] = Field(
        default={},
        description='Its options (JSON object): `{"http2": true}` speaks HTTP/2 where the receiver '
        'does, `{"proxy": "socks5://..."}` goes through SOCKS.',
    )
    max_request: Size = Field(
        default=16 * 2**20,
        ge=1024,
        description="How large the body of a request may be; an event that makes a larger one goes "
        "to the dead letters.",
        json_schema_extra={"kind_text": "size", "default_text": "`16MiB`"},
    )
    redact_headers: tuple[Annotated[str, AfterValidator(header_name)], ...] = Field(
        default=(),
        description="Names (JSON list) of response headers whose values are kept out of the "
        "attempt records, besides `set-cookie` and others that carry credentials.",
    )
    max_response: Size = Field(
        default=64 * 1024,
        ge=1024,
        le=16 * 2**20,
        description="How much of a response is read before its connection is dropped.",
        json_schema_extra={"kind_text": "size", "default_text": "`64KiB`"},
    )
