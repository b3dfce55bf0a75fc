"""The native engine's idle connections, a stack for each line."""

from hooklane.delivery.engine.connection import Connection
from hooklane.delivery.way import Line


class Idle:
    """Which connections wait to be used again. Pure but for the connections that it holds.

    The one used last is used first, so that the others grow old and are closed.
    """

    def __init__(self) -> None:
        self._stacks: dict[Line, list[Connection]] = {}

    def __bool__(self) -> bool:
        return bool(self._stacks)

    def put(self, line: Line, connection: Connection) -> None:
        self._stacks.setdefault(line, []).append(connection)

    def take(self, line: Line) -> Connection | None:
        stack = self._stacks.get(line)
        if stack is None:
            return None
        connection = stack.pop()
        if not stack:
            del self._stacks[line]
        return connection

    def remove(self, line: Line, connection: Connection) -> None:
        """It has ended by itself. No matter if it is not here."""
        stack = self._stacks.get(line)
        if stack is not None and connection in stack:
            stack.remove(connection)
            if not stack:
                del self._stacks[line]

    def expired(self, before: float) -> list[Connection]:
        """Take out those that have been idle since `before` (loop time) or earlier."""
        old: list[Connection] = []
        for line, stack in list(self._stacks.items()):
            # The bottom of a stack is the oldest; most sweeps look at that one only.
            fresh = next((at for at, one in enumerate(stack) if one.idle_since > before), None)
            old += stack[:fresh]
            if fresh is None:
                del self._stacks[line]
            else:
                del stack[:fresh]
        return old

    def all(self) -> list[Connection]:
        """Take out every one."""
        every = [connection for stack in self._stacks.values() for connection in stack]
        self._stacks.clear()
        return every
