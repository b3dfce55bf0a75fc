"""The spool's SQLite file: opened or begun anew, batches, and SQLite's errors as SpoolError.

<folder>/retrier-<instance>.spool         the database
<folder>/retrier-<instance>.spool-wal     what is committed and not yet in it
<folder>/retrier-<instance>.spool.lock    see `spool_sqlite_lock`
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote

from hooklane.retrier.spool_sqlite_lock import SpoolError, SpoolLock
from hooklane.retrier.spool_sqlite_schema import APPLICATION_ID, SCHEMA, VERSION

_CACHE_KIB: Final = 32 * 1024
_WAL_PAGES: Final = 4_000
"""When what is in the log goes into the database: 16 MiB, so that a page that changes often is
written once for many changes."""

# The lock file keeps others out; SQLite then needs no shared memory and no lock a transaction.
_ALONE: Final = "PRAGMA locking_mode = EXCLUSIVE"
_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    # Never wait for the disk: the thread that asks is the one that delivers. `SpoolLock.trusts`.
    "PRAGMA synchronous = OFF",
    f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}",
    f"PRAGMA journal_size_limit = {8 * _WAL_PAGES * 4096}",
    f"PRAGMA cache_size = -{_CACHE_KIB}",
    "PRAGMA temp_store = MEMORY",
    # Some builds overwrite what is deleted, which doubles the writes of a cache.
    "PRAGMA secure_delete = FAST",
)
_SURROUNDINGS: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM}
)
"""Errors at opening that say nothing against the file."""
_BROKEN: Final = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_ERROR,
        None,
    }
)
"""Errors that a sound file does not give; None: a text that is not UTF-8."""

Row = tuple[Any, ...]


class Batch:
    """Between `begin` and `keep`, or `abandon` where something failed, `keep` included.

    A class, since two generators for each delivery are a part of a drain that one can see.
    """

    __slots__ = ("_abandon", "_begin", "_keep")

    def __init__(
        self, begin: Callable[[], None], keep: Callable[[], None], abandon: Callable[[], None]
    ) -> None:
        self._begin, self._keep, self._abandon = begin, keep, abandon

    def __enter__(self) -> None:
        self._begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            self._keep()
        except BaseException:
            self._abandon()
            raise


class SpoolFile:
    """An open spool file. Statements outside a batch are kept one by one.

    Every method raises SpoolError where SQLite or the disk fails.
    """

    def __init__(self, folder: Path, instance: str) -> None:
        self.path = folder / f"retrier-{_file_part(instance)}.spool"
        self._batch = False
        self._writing = False
        self._closed = False
        self._whole = True
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = SpoolLock(self.path.with_name(self.path.name + ".lock"))
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._connection = self._opened()
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError | sqlite3.Error):
                raise self._unusable(error) from error
            raise

    def rows(
        self, statement: str, values: Row = (), is_enough: Callable[[Row], bool] | None = None
    ) -> list[Row]:
        """What a SELECT finds, up to the row that is enough, each row being asked in its turn. A
        number of more than 64 bits is in no row."""
        try:
            if is_enough is None:
                return self._run(statement, values).fetchall()
            with closing(self._run(statement, values)) as cursor:
                return _up_to(cursor, is_enough)
        except OverflowError:
            return []
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._failed(error) from error

    def change(self, statement: str, values: Row = ()) -> sqlite3.Cursor:
        """Insert, update or delete; the cursor tells `rowcount` and `lastrowid`."""
        try:
            if self._batch and not self._writing:
                self._begin()
            return self._run(statement, values)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._failed(error) from error

    def take(self, statement: str, values: Row) -> list[Row]:
        """Delete; what the statement returns of it."""
        try:
            return self.change(statement, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._failed(error) from error

    def batch(self) -> AbstractContextManager[None]:
        """All that is changed inside is kept together, or not at all.

        SQLite's transaction begins with the first change: most batches of a drain only look.
        """
        return Batch(self.begin, self.keep, self.abandon)

    def begin(self) -> None:
        """A batch, until `keep` or `abandon`."""
        if self._batch:
            raise RuntimeError("a batch of the spool is open already")
        self._batch, self._writing = True, False

    def keep(self) -> None:
        """What the batch has changed. If that fails, `abandon` follows."""
        if self._writing:
            self.change("COMMIT")
        self._batch = self._writing = False

    def abandon(self) -> None:
        """Nothing of the batch is kept."""
        self._roll_back()
        self._batch = self._writing = False

    @contextmanager
    def step(self) -> Iterator[None]:
        """Statements of one operation: a part of the batch, or a batch of their own."""
        if self._batch:
            yield
        else:
            with self.batch():
                yield

    def broken(self, what: str) -> SpoolError:
        """The next opening begins anew."""
        self._whole = False
        with suppress(OSError):
            self._lock.say_broken()
        return SpoolError(
            f"the spool {self.path} is broken ({what}): start the retrier again, "
            "which builds it anew from Kafka"
        )

    def close(self) -> None:
        """Put everything on the disk. A second time does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._connection.close()
            if self._whole:
                _flush(self.path)
                _flush(self.path.parent)
                self._lock.say_closed()
        except OSError as error:
            raise self._unusable(error) from error
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            self._lock.release()

    def _opened(self) -> sqlite3.Connection:
        if not self._lock.trusts():
            self._discard()
        self._lock.say_open()
        connection = self._sound()
        if connection is not None:
            return connection
        self._discard()
        return self._begun()

    def _sound(self) -> sqlite3.Connection | None:
        """The file that is there, or a new one; None if what is there is of no use."""
        if not self.path.exists():
            return self._begun()
        connection: sqlite3.Connection | None = None
        try:
            connection = _connect(self.path)
            if self._is_sound(connection):
                _set_up(connection)
                sound, connection = connection, None
                return sound
        except sqlite3.Error as error:
            if _code(error) in _SURROUNDINGS:
                raise
        except UnicodeDecodeError:  # an error message that quotes a broken name
            pass
        finally:
            if connection is not None:
                connection.close()
        return None

    def _is_sound(self, connection: sqlite3.Connection) -> bool:
        [(application,)] = connection.execute("PRAGMA application_id")
        [(version,)] = connection.execute("PRAGMA user_version")
        made = {text for (text,) in connection.execute("SELECT sql FROM sqlite_master")}
        if made and made.isdisjoint(SCHEMA) and application != APPLICATION_ID:
            raise SpoolError(
                f"{self.path} is a database of another program: move it away, "
                "or let HOOKLANE_RETRIER__SPOOL_DIR name another folder"
            )
        if (application, version) != (APPLICATION_ID, VERSION) or not made.issuperset(SCHEMA):
            return False
        # What is missing of the last page SQLite takes for zeros.
        [(page,)] = connection.execute("PRAGMA page_size")
        if self.path.stat().st_size % page:
            return False
        # Not quick_check: it does not compare the tables with their indexes, and a task that an
        # index has lost would not be delivered.
        return connection.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)]

    def _begun(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = _connect(self.path)
        try:
            _set_up(connection)
            connection.execute("BEGIN")
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _discard(self) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _begin(self) -> None:
        self._connection.execute("BEGIN")
        self._writing = True

    def _run(self, statement: str, values: Row) -> sqlite3.Cursor:
        if self._writing and not self._connection.in_transaction:
            raise SpoolError(f"a batch of the spool {self.path} was rolled back and cannot go on")
        return self._connection.execute(statement, values)

    def _roll_back(self) -> None:
        """A full disk has ended the transaction already, at times."""
        with suppress(sqlite3.Error):
            self._connection.rollback()

    def _failed(self, error: sqlite3.Error | UnicodeDecodeError) -> SpoolError:
        """A batch in which something failed is gone, also if somebody keeps the error to himself:
        what comes after must not be kept alone."""
        if isinstance(error, sqlite3.ProgrammingError):
            raise error
        self._roll_back()
        self._writing = self._batch
        if isinstance(error, UnicodeDecodeError) or _code(error) in _BROKEN:
            return self.broken(str(error))
        return self._unusable(error)

    def _unusable(self, error: OSError | sqlite3.Error) -> SpoolError:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return SpoolError(
            f"the spool {self.path} cannot be used ({why}): let HOOKLANE_RETRIER__SPOOL_DIR name "
            "a folder that this process can write, on a disk with room"
        )


def _connect(path: Path) -> sqlite3.Connection:
    # Opened in any thread, since a large file is checked at length; used from one at a time.
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(_ALONE)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    """To be done to our own file only, since it changes the file."""
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _up_to(cursor: sqlite3.Cursor, is_enough: Callable[[Row], bool]) -> list[Row]:
    """The rows up to the one that is enough, with it."""
    found: list[Row] = []
    for row in cursor:
        found.append(row)
        if is_enough(row):
            break
    return found


def _code(error: sqlite3.Error) -> int | None:
    """SQLite's primary error code; None for an error of the Python module itself."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _file_part(instance: str) -> str:
    """The instance id as a part of a file name; long ones by a digest, names being limited."""
    name = quote(instance, safe="")
    if len(name) <= 150:
        return name
    return f"{name[:100]}-{blake2b(instance.encode(), digest_size=8).hexdigest()}"
