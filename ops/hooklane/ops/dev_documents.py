"""What the files of a folder want: of each file the last good version. Pure."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from hooklane.ops.subscriptions_files import Given
from hooklane.ops.subscriptions_plan import RefusedError, validated
from hooklane.runtime.errors import UsageError
from hooklane.schemas.subscription import Subscription
from hooklane.schemas.subscription_values import ServicePolicy


class Documents:
    """Told of files as they come, change and go."""

    def __init__(self, policy: ServicePolicy) -> None:
        self._policy = policy
        self._good: dict[Path, Sequence[Subscription]] = {}

    def take(self, path: Path, read: Callable[[], Iterable[Given]]) -> str | None:
        """A file is new or has changed. Why it is not taken, in one sentence; None if it is."""
        try:
            self._good[path] = validated(read(), self._policy)
        except RefusedError as error:
            more = f" (and {len(error.faults) - 1} more)" if len(error.faults) > 1 else ""
            return self._refused(path, f"{error.faults[0]}{more}")
        except UsageError as error:
            return self._refused(path, str(error).rstrip("."))
        return None

    def forget(self, path: Path) -> None:
        """A file is gone."""
        self._good.pop(path, None)

    def wanted(self) -> dict[str, Subscription]:
        """The subscriptions by id. Of two files with one id the first by name counts."""
        found: dict[str, Subscription] = {}
        for _, one in self._in_order():
            found.setdefault(one.id, one)
        return found

    def conflicts(self) -> list[str]:
        """A sentence for each document whose id is in another file already."""
        first: dict[str, Path] = {}
        said = []
        for path, one in self._in_order():
            owner = first.setdefault(one.id, path)
            if owner != path:
                said.append(f"{path}: {one.id} is in {owner} too, and that one counts.")
        return said

    def ids_of(self, paths: Iterable[Path]) -> frozenset[str]:
        return frozenset(one.id for path in paths for one in self._good.get(path, ()))

    def _refused(self, path: Path, why: str) -> str:
        stays = "its last good version stays" if path in self._good else "it is left out"
        return f"{why}; {stays}."

    def _in_order(self) -> Iterable[tuple[Path, Subscription]]:
        return ((path, one) for path in sorted(self._good) for one in self._good[path])
