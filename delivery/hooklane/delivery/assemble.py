"""The delivery side as the settings want it, wired once for both services."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from hooklane.delivery.auth.credentials import Secrets
from hooklane.delivery.engine.authorities import Authorities
from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.engine.native import NativeEngine
from hooklane.delivery.engine.proxy import Proxy, read_proxy
from hooklane.delivery.exchange import Engine
from hooklane.delivery.guard import NOT_FOR_WEBHOOKS, Guard, Policy
from hooklane.delivery.handshakes import Handshakes
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.lookup import SystemLookup
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.ways import Engines, Ways
from hooklane.runtime.errors import SettingsError
from hooklane.runtime.settings_delivery import DeliverySettings
from hooklane.schemas.subscription_values import EngineName

if TYPE_CHECKING:
    from hooklane.delivery.engine.httpx_lines import Make

log = structlog.get_logger(__name__)


def policy(settings: DeliverySettings, own_ports: Iterable[int]) -> Policy:
    """Whom the settings allow to be reached. `own_ports`: the service's and Kafka's."""
    return Policy(
        allow=tuple(settings.allow_networks),
        deny=tuple(settings.deny_networks),
        denied_ports=NOT_FOR_WEBHOOKS | frozenset(settings.deny_ports) | frozenset(own_ports),
        allow_http=settings.allow_http,
    )


def open_engine(
    settings: DeliverySettings, own_ports: Iterable[int], secrets: Secrets, limits: RateLimits
) -> Engine:
    """The engine that both services deliver with; its `close` ends all that it opened.

    `limits` are told what receivers allow.

    Raises:
        SettingsError: a setting that this version cannot follow.
    """
    lookup = SystemLookup()
    resolver = Resolver(Guard(policy(settings, own_ports)), lookup)
    bounds = Bounds(body_bytes=settings.max_response)
    trust = Authorities(settings.ca_file)
    url, proxy = settings.proxy, None
    if url is not None:
        proxy = read_proxy(url.get_secret_value(), secrets, judges=settings.proxy_judges)
    make = _transport(settings)
    engines = Engines(
        {
            EngineName.NATIVE: lambda: NativeEngine(resolver, trust, bounds, proxy),
            EngineName.HTTPX: lambda: _httpx_engine(resolver, trust, bounds, proxy, make),
        },
        settings.engine,
    )
    if make is not None:
        # Opened at the start, so that a transport that cannot be made is told then.
        engines.named(EngineName.HTTPX)
    handshakes = Handshakes(settings.origin, limits, time.monotonic)
    closing = (resolver.close, lookup.close)
    return Ways(engines, secrets, trust, handshakes, settings.max_request, closing)


def _httpx_engine(
    resolver: Resolver,
    trust: Authorities,
    bounds: Bounds,
    proxy: Proxy | None,
    make: "Make | None",
) -> Engine:
    """httpx and what it needs take eight MiB, and most services deliver without it."""
    from hooklane.delivery.engine.httpx import HttpxEngine  # noqa: PLC0415
    from hooklane.delivery.engine.httpx_any import TransportEngine  # noqa: PLC0415

    if make is None:
        return HttpxEngine(resolver, trust, bounds, proxy)
    return TransportEngine(resolver, trust, make, bounds)


def _transport(settings: DeliverySettings) -> "Make | None":
    if settings.transport is not None:
        from hooklane.delivery.engine.httpx_make import named_transport  # noqa: PLC0415

        if settings.proxy is not None and "proxy" not in settings.transport_options:
            log.warning("delivery.transport_without_proxy", transport=settings.transport)
        return named_transport(settings.transport, settings.transport_options)
    if settings.transport_options:
        raise SettingsError(
            "HOOKLANE_DELIVERY__TRANSPORT_OPTIONS is set, and HOOKLANE_DELIVERY__TRANSPORT, whose"
            " options they are, is not."
        )
    return None
