"""The part of a terminal that is drawn anew in place, and whether there is one."""

from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live


def can_draw(console: Console) -> bool:
    """Whether something can be drawn in place there: not on a pipe, not at a dumb terminal."""
    return console.is_terminal and not console.is_dumb_terminal


class LiveScreen:
    """Drawn by the event loop while it is open: no thread of its own has to be ended."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def draw(self, picture: RenderableType) -> None:
        self._live.update(picture, refresh=True)
