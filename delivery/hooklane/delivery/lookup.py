"""The system's resolver, asked without holding up the loop, other names, or the process's end."""

import asyncio
import queue
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

_THREADS: Final = 64


class _Question(NamedTuple):
    name: str
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[list[str]]


class SystemLookup:
    """getaddrinfo in threads of its own, as many as there are names asked at once, up to 64.

    The loop's own few threads would all hang on a few dead name servers. They are daemons: a
    pool of `concurrent.futures` is waited for when the process ends, as long as a name server
    takes to time out.
    """

    def __init__(self) -> None:
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._threads = 0
        self._asked = 0

    async def __call__(self, name: str) -> Sequence[str]:
        """Numeric addresses in the system's order, each once. Raises OSError."""
        loop = asyncio.get_running_loop()
        question = _Question(name, loop, loop.create_future())
        self._asked += 1
        if self._asked > self._threads and self._threads < _THREADS:
            self._threads += 1
            threading.Thread(target=self._work, name="hooklane-dns", daemon=True).start()
        self._questions.put(question)
        return await question.answer

    def close(self) -> None:
        """Let the threads end once they have nothing to do."""
        for _ in range(self._threads):
            self._questions.put(None)

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            result = _asked(question.name)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                question.loop.call_soon_threadsafe(self._answer, question, result)

    def _answer(self, question: _Question, result: list[str] | Exception) -> None:
        # Counted here and not where the answer is awaited: who gives up frees no thread.
        self._asked -= 1
        if question.answer.done():
            return
        if isinstance(result, Exception):
            question.answer.set_exception(result)
        else:
            question.answer.set_result(result)


def _asked(name: str) -> list[str] | Exception:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        return error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
