"""The settings of `hooklane console`, as `settings_sections` has the others."""

from ipaddress import ip_network
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from hooklane.runtime.settings_types import URL_KIND, Duration, Network, Section, header_name
from hooklane.schemas.topics import Delay

SHORTEST_TOKEN: Final = 16


def _token(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if len(text) < SHORTEST_TOKEN or text != text.strip():
        raise ValueError(
            f"must have at least {SHORTEST_TOKEN} characters and none of them blank at its ends; "
            "`hooklane secrets generate-key` makes one"
        )
    return value


def _base_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        usable = False
    else:
        usable = usable and "@" not in parts.netloc and parts.path in {"", "/"}
        usable = usable and not parts.query and not parts.fragment
    if not usable:
        raise ValueError(f"{value!r} is not the address of a server such as http://host:8080")
    return value.rstrip("/").lower()


class ConsoleSettings(Section):
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address on which the console is served. One that is not loopback needs a "
        "token or `user_header`.",
    )
    port: int = Field(default=8085, ge=0, le=65535, description="Port of the console; 0 takes any.")
    token: Annotated[SecretStr, AfterValidator(_token)] | None = Field(
        default=None,
        description="What is entered once to come in. Without it, and without `user_header`, each "
        "start makes one and says it on stderr.",
    )
    user_header: Annotated[str, AfterValidator(header_name)] | None = Field(
        default=None,
        description="Request header in which an authenticating proxy names the user, such as "
        "`x-forwarded-user`. It is believed only from `proxies`, and the proxy must remove it from "
        "what it is sent.",
    )
    proxies: tuple[Network, ...] = Field(
        default=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
        description="Networks (JSON list of CIDRs) of the proxy that sets `user_header`.",
        json_schema_extra={"default_text": '`["127.0.0.0/8", "::1/128"]`'},
    )
    public_url: Annotated[str, AfterValidator(_base_url)] | None = Field(
        default=None,
        description="Address by which browsers reach the console, if not by `localhost` or an IP "
        "address: its name is accepted in `Host`, and under `https` the cookie is `Secure`.",
        json_schema_extra=URL_KIND,
    )
    read_only: bool = Field(
        default=False, description="Whether nothing can be done with it but look."
    )
    services: tuple[Annotated[str, AfterValidator(_base_url)], ...] = Field(
        default=(),
        description="Addresses (JSON list) of the fan-outs' and retriers' health servers, such as "
        '`["http://fanout-0:8080"]`: the console shows what their `/metrics` say.',
    )
    attempts: int = Field(
        default=20_000,
        ge=100,
        le=1_000_000,
        description="How many of the newest attempts are kept at hand, about 1 KB each.",
    )
    history: Duration = Field(
        default=Delay.parse("24h"),
        description="How far charts and success rates reach back, at most `24h`.",
    )
