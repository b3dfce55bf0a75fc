"""A service as a process of its own: limits, log, event loop, and an end by signals."""

from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from hooklane.runtime.collector import calm_collector
from hooklane.runtime.core_dumps import no_core_dumps
from hooklane.runtime.log import start_logging
from hooklane.runtime.open_files import raise_open_files
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.settings import Settings
from hooklane.runtime.shutdown import Shutdown, shutdown_signals


def run_service(
    settings: Settings,
    name: str,
    run: Callable[[Settings, Shutdown, KnownSecrets], Coroutine[Any, Any, None]],
) -> None:
    """Run it until a signal asks for its end. `name` stands in its log.

    Raises:
        HooklaneError: it cannot start or cannot go on; one sentence that says why.
    """
    no_core_dumps()
    raise_open_files()
    secrets = start_logging(settings, name)
    calm_collector()

    async def until_shutdown() -> None:
        with shutdown_signals() as shutdown:
            await run(settings, shutdown, secrets)

    uvloop.run(until_shutdown())
