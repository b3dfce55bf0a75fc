"""Which files of a folder have changed, told once they have stopped changing.

By looking, four times a second: a folder of subscriptions has few files, a look costs less than a
millisecond, and it also sees what no kernel tells, such as an edit on the other side of a
container's mount. A library that is told by the kernel would need the same look as its fallback.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from hooklane.ops.subscriptions_files import SUFFIXES

LOOK_S: Final = 0.25

Snapshot: TypeAlias = Mapping[Path, tuple[int, int, int]]
"""By a file's path: by what one sees that it is still the same."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Files that are new or different, and files that are gone; each in the order of names."""

    changed: tuple[Path, ...]
    gone: tuple[Path, ...]


def snapshot(source: Path) -> Snapshot:
    """The documents' files of a folder, or the one file.

    Raises:
        OSError: the folder cannot be read.
    """
    files = [source] if source.is_file() else [one for one in source.iterdir() if _is_ours(one)]
    found = {}
    for path in sorted(files):
        try:
            status = path.stat()
        except FileNotFoundError:
            # Gone since it was listed, or a link to nowhere.
            continue
        found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def _is_ours(path: Path) -> bool:
    # Editors keep their own files beside, hidden.
    return path.suffix in SUFFIXES and not path.name.startswith(".") and not path.is_dir()


class FolderWatch:
    """Told of snapshots, it says what there is to do. Pure."""

    def __init__(self) -> None:
        self._handled: Snapshot | None = None
        self._before: Snapshot | None = None

    def look(self, now: Snapshot) -> Changes | None:
        """What differs from what was handled last; None if nothing, or while it still changes.

        The first one is told also if there is no file.

        An editor may write a file in pieces: only what two looks agree on is taken.
        """
        settled, self._before = now == self._before, now
        if not settled or now == self._handled:
            return None
        before, self._handled = self._handled or {}, now
        return Changes(
            tuple(path for path, stamp in now.items() if before.get(path) != stamp),
            tuple(path for path in before if path not in now),
        )
