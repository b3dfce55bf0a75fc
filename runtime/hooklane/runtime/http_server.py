"""An ASGI application served from the service's own event loop, until its block is left."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

import uvicorn
from starlette.types import ASGIApp


@asynccontextmanager
async def serving(
    app: ASGIApp, sockets: Sequence[socket.socket], last_words_s: int = 1
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve `app` on bound sockets. What has begun at the end has `last_words_s` to be answered.

    Gives the task that serves: it ends early only by a fault.
    """
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=last_words_s,
        )
    )
    task = asyncio.create_task(server.serve(sockets=list(sockets)))
    try:
        yield task
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the command has its own."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()
