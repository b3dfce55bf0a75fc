"""The settings of `[tenants]`: what each tenant may see, and how much of everything it gets.

`docs/settings.md` is made from this module too.
"""

import re
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, GetPydanticSchema, PlainSerializer
from pydantic_core import core_schema

from hooklane.runtime.settings_types import Section
from hooklane.schemas.subscription_values import SUBSCRIPTION_ID, RateLimit, parse_rate
from hooklane.schemas.tenants import EVERY

_TOPIC_GLOB: Final = re.compile(r"[A-Za-z0-9._*?-]{1,249}")


def _tenant(value: str) -> str:
    if value != EVERY and not SUBSCRIPTION_ID.fullmatch(value):
        raise ValueError(
            f"{value!r} is no tenant: write it as the documents do (a-z 0-9 . _ -), or {EVERY} for "
            "those that are not named"
        )
    return value


def _glob(value: str) -> str:
    if not _TOPIC_GLOB.fullmatch(value):
        raise ValueError(f"{value!r} is no topic nor a glob of topics: write a-z A-Z 0-9 . _ - * ?")
    return value


def _rate(value: object) -> RateLimit:
    if isinstance(value, RateLimit):
        return value
    return parse_rate(str(value))


def _as_is(source: Any, _handler: Any) -> core_schema.CoreSchema:
    return core_schema.is_instance_schema(source)


Tenant: TypeAlias = Annotated[str, AfterValidator(_tenant)]
Topic: TypeAlias = Annotated[str, AfterValidator(_glob)]
Rate: TypeAlias = Annotated[
    RateLimit,
    GetPydanticSchema(_as_is),
    BeforeValidator(_rate),
    PlainSerializer(lambda rate: rate.text),
]


class TenantQuota(Section):
    """One tenant's; what is absent has no limit."""

    subscriptions: int | None = Field(default=None, ge=0)
    max_in_flight: int | None = Field(default=None, ge=1)
    rate_limit: Rate | None = None


class TenantSettings(Section):
    topics: dict[Tenant, tuple[Topic, ...]] = Field(
        default={},
        description="Event topics that each tenant may see (JSON object of lists, exact or glob): "
        '`{"acme": ["orders.*"], "*": ["public.events"]}`. `*` means the tenants that are not '
        "named; one that is neither named nor meant by `*` sees nothing. Without any entry nobody "
        "is limited.",
    )
    required: bool = Field(
        default=False,
        description="Whether a subscription without a `tenant` sees nothing, instead of "
        "everything.",
    )
    quotas: dict[Tenant, TenantQuota] = Field(
        default={},
        description='How much each tenant gets (JSON object): `{"acme": {"subscriptions": 10, '
        '"max_in_flight": 64, "rate_limit": "100/s"}}`, each optional; `*` means each of those '
        "that are not named. `subscriptions` is kept by `subscriptions apply`; the others by each "
        "process, for all subscriptions of the tenant together, the rate times "
        "`HOOKLANE_DELIVERY__RATE_SHARE`.",
    )
