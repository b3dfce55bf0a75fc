"""The first step of every connection: where it may go."""

import asyncio

from hooklane.delivery.engine.faults import lookup_timed_out
from hooklane.delivery.exchange import Fault
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.target import Address, Target


async def addresses_by(
    deadline: float, resolver: Resolver, target: Target, limit_s: float
) -> tuple[Address, ...] | Fault:
    """The judged addresses of `target`, or why there are none.

    `deadline` (loop time) ends a connect timeout of `limit_s` seconds, of which looking up is part.
    """
    try:
        async with asyncio.timeout_at(deadline):
            return await resolver.addresses(target)
    except TimeoutError:
        return lookup_timed_out(target.name, limit_s)
