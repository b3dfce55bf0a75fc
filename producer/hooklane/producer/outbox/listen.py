"""NOTIFY: somebody has written rows, and the relay need not wait for its next look."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import sql

from hooklane.producer.outbox.connect import Dsn, connect, translated
from hooklane.producer.outbox.errors import OutboxError

_log = logging.getLogger("hooklane.producer")
_AGAIN_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)


async def listen(dsn: Dsn, channel: str, notified: Callable[[], None]) -> None:
    """Call `notified` for each notification, by a connection of its own, until cancelled.

    While that is lost nothing is: the relay looks by itself now and then.
    """
    lost = 0
    while True:
        try:
            connection = await connect(dsn)
            async with connection:
                with translated(connection):
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    # What was notified before has not been heard.
                    notified()
                    lost = 0
                    async for _ in connection.notifies():
                        notified()
        except (OutboxError, psycopg.Error) as error:
            _log.info("not listening to NOTIFY for now: %s", error)
        await asyncio.sleep(_AGAIN_S[min(lost, len(_AGAIN_S) - 1)])
        lost += 1
