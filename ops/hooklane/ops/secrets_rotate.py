"""`enc:` secrets under the newest key, in documents of files and of the config topic.

Only the references change, so that comments and the order of fields stay as they are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hooklane.ops.subscriptions_files import SUFFIXES
from hooklane.runtime.errors import UsageError
from hooklane.runtime.secrets_enc import EncryptionKeys
from hooklane.schemas.book import Entry


@dataclass(frozen=True, slots=True)
class Renewed:
    """A text in which references changed. `place`: a file, or a subscription's id."""

    place: str
    text: str
    secrets: int


def renewed_files(sources: Sequence[str], keys: EncryptionKeys) -> list[Renewed]:
    """What is to be written into which file; nothing is written yet.

    Raises:
        UsageError: a file cannot be read.
        SecretError: a reference cannot be decrypted.
    """
    return [
        found
        for path in _files(sources)
        if (found := _renewed(str(path), _read(path), keys)) is not None
    ]


def renewed_entries(entries: Iterable[Entry], keys: EncryptionKeys) -> list[tuple[Entry, Renewed]]:
    """What is to be written of which subscription.

    Raises:
        SecretError: a reference cannot be decrypted.
    """
    return [
        (entry, found)
        for entry in entries
        if (found := _renewed(entry.id, entry.subscription.record()[1].decode(), keys)) is not None
    ]


def write_files(found: Iterable[Renewed]) -> None:
    """Each file whole, or as it was.

    Raises:
        UsageError: a file cannot be written.
    """
    for one in found:
        # What a link leads to is written, not the link.
        path = Path(one.place).resolve()
        beside = path.with_name(f".{path.name}.new")
        try:
            beside.write_bytes(one.text.encode())
            beside.chmod(path.stat().st_mode & 0o7777)
            beside.replace(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise UsageError(f"{path} cannot be written: {error.strerror}.") from error


def _renewed(place: str, text: str, keys: EncryptionKeys) -> Renewed | None:
    new, count = keys.renewed(text)
    return Renewed(place, new, count) if count else None


def _files(sources: Sequence[str]) -> Iterator[Path]:
    for source in sources:
        path = Path(source)
        if path.is_dir():
            yield from sorted(one for one in path.iterdir() if one.suffix in SUFFIXES)
        else:
            yield path


def _read(path: Path) -> str:
    try:
        # Not read_text: line breaks stay as they are.
        return path.read_bytes().decode()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text.") from error
