"""The last requests in a folder: two files each, as `hooklane verify` reads them."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from hooklane.ops.verify_input import headers_from
from hooklane.runtime.errors import UsageError

_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """`target`: path and query; header names are in lower case."""

    target: str
    headers: dict[str, str]
    body: bytes


class RequestFolder:
    """`<time>-<webhook-id>.headers` and `.body`, the last hundred, for this user's eyes only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self) -> None:
        """The folder, if it is not there.

        Raises:
            UsageError: it cannot be made.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"--keep {self._folder} cannot be made a folder ({error.strerror}): name another."
            ) from error

    def keep(
        self, at: datetime, target: str, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> None:
        """Write one, and remove what is beyond the last hundred."""
        lines = [f"POST {target} HTTP/1.1"]
        lines += [f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in headers]
        named = dict(headers).get(b"webhook-id", b"").decode("latin-1")
        # From a request, hence whatever somebody sent.
        safe = re.sub(r"[^A-Za-z0-9_-]", "", named)[:64]
        base = self._folder / f"{at:%Y%m%dT%H%M%S.%fZ}-{safe or 'request'}"
        # The body first: what has headers is whole.
        self._write(base.with_name(base.name + ".body"), body)
        text = "\n".join(lines) + "\n"
        self._write(base.with_name(base.name + ".headers"), text.encode("latin-1", "replace"))
        for old in self._bases()[:-_MOST]:
            for ending in (".headers", ".body"):
                (self._folder / (old + ending)).unlink(missing_ok=True)

    def last(self, count: int) -> list[KeptRequest]:
        """The last so many, the oldest of them first.

        Raises:
            UsageError: there is none, or a file is none of ours.
        """
        found = [self._read(base) for base in self._bases()[-count:]]
        if not found:
            raise UsageError(
                f"No request is kept in {self._folder}: run hooklane listen --keep {self._folder} "
                "until one has come."
            )
        return found

    def _read(self, base: str) -> KeptRequest:
        head = self._folder / f"{base}.headers"
        try:
            text = head.read_text("latin-1")
            body = (self._folder / f"{base}.body").read_bytes()
        except OSError as error:
            raise UsageError(f"{error.filename} cannot be read ({error.strerror}).") from error
        found = re.match(r"POST (\S+) HTTP/1.1\n", text)
        if found is None:
            raise UsageError(f"{head} is no request of hooklane listen: remove it.")
        return KeptRequest(found[1], headers_from(text), body)

    def _bases(self) -> list[str]:
        """Their names begin with the time: sorted by it."""
        if not self._folder.is_dir():
            return []
        return sorted(file.name.removesuffix(".headers") for file in self._folder.glob("*.headers"))

    @staticmethod
    def _write(file: Path, content: bytes) -> None:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "wb") as out:
            out.write(content)
