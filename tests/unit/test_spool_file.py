"""The spool's file: what is found there when it is opened again."""

import os
import random
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hooklane.retrier import spool_sqlite_lock
from hooklane.retrier.spool import Checkpoint, Spool
from hooklane.retrier.spool_sqlite import SqliteSpool, open_spool
from hooklane.retrier.spool_sqlite_file import SpoolFile
from hooklane.retrier.spool_sqlite_lock import SpoolError
from hooklane.retrier.standing import TicketPlace
from tests.support.spool_facts import content, lane, owed, stray, waiting

TASKS = [
    waiting(f"lane {at % 40}", at, due_ms=at % 7, ticket=TicketPlace("30s", at), record=bytes([at]))
    for at in range(200)
]


def filled(folder: Path) -> Path:
    """A spool that holds TASKS and was closed; gives its file."""
    spool = open_spool(folder, "me")
    with spool.batch():
        for task in TASKS:
            spool.add(task)
        spool.save_checkpoint(Checkpoint(0, "x", 5, 1))
    spool.close()
    return folder / "retrier-me.spool"


def is_empty(spool: Spool) -> bool:
    """Begun anew: no checkpoint is there, so all will be read from Kafka again."""
    return spool.tasks() == 0 and spool.checkpoint(0) is None


def test_what_was_closed_is_there_again(tmp_path: Path) -> None:
    """Tasks, strays and their mark, releases and checkpoints outlive the process."""
    filled(tmp_path)
    spool = open_spool(tmp_path, "me")
    spool.add_stray(stray("z", 1, 3))
    spool.owe(owed("z", 1))
    mark = spool.mark()
    spool.close()
    again = open_spool(tmp_path, "me")
    assert content(again, TASKS) == TASKS
    assert (again.tasks(), again.mark()) == (len(TASKS), mark)
    assert (again.owed(0), again.checkpoint(0)) == ([owed("z", 1)], Checkpoint(0, "x", 5, 1))
    assert again.take_strays(lane("z"), 1) == [stray("z", 1, 3)]
    again.close()


def test_closing_twice_does_nothing_more(tmp_path: Path) -> None:
    """The second close neither fails nor lets go of what another has opened since."""
    first = open_spool(tmp_path, "me")
    first.close()
    second = open_spool(tmp_path, "me")
    first.close()
    with pytest.raises(SpoolError, match="another process uses"):
        open_spool(tmp_path, "me")
    second.close()


def test_a_spool_is_of_one_process(tmp_path: Path) -> None:
    """A second opener is told what to change; another instance has a file of its own."""
    spool = open_spool(tmp_path, "me")
    wanted = "retrier-me.spool: give .*HOOKLANE_KAFKA__INSTANCE_ID or HOOKLANE_RETRIER__SPOOL_DIR"
    with pytest.raises(SpoolError, match=wanted):
        open_spool(tmp_path, "me")
    spool.add(waiting("a", 1))
    other = open_spool(tmp_path, "other")
    assert other.tasks() == 0
    other.close()
    spool.close()


@pytest.mark.parametrize(
    "instance", ["", ".", "..", "a/b", "../x", "ä ö\x00", "x" * 500, "é" * 300]
)
def test_any_instance_id_names_a_file_in_the_folder(tmp_path: Path, instance: str) -> None:
    """No instance id leads out of the folder or is too long for a file's name."""
    spool = open_spool(tmp_path / "spool", instance)
    spool.add(waiting("a", 1))
    spool.close()
    assert os.listdir(tmp_path) == ["spool"]  # noqa: PTH208
    again = open_spool(tmp_path / "spool", instance)
    assert again.tasks() == 1
    again.close()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    """Payloads lie in the folder: neither it nor any file in it is open to other users."""
    folder = tmp_path / "spool"
    spool = open_spool(folder, "me")
    spool.add(waiting("a", 1))
    found = [folder, *folder.iterdir()]
    assert len(found) == 4
    assert [path.name for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
    spool.close()


def test_another_version_is_begun_anew(tmp_path: Path) -> None:
    """A cache is not migrated: a file of another schema version is thrown away."""
    path = filled(tmp_path)
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 999")
    other.close()
    spool = open_spool(tmp_path, "me")
    assert is_empty(spool)
    spool.close()


def test_other_tables_under_the_same_version_are_begun_anew(tmp_path: Path) -> None:
    """Tables that differ from ours are not used, though nobody has raised the version."""
    path = filled(tmp_path)
    other = sqlite3.connect(path)
    other.execute("DROP INDEX task_oldest")
    other.close()
    spool = open_spool(tmp_path, "me")
    assert is_empty(spool)
    spool.close()


def test_a_new_file_and_an_old_one_are_held_alike(tmp_path: Path) -> None:
    """Either way SQLite holds at most 32 MiB in memory and never waits for the disk."""
    for _ in range(2):
        spool = SqliteSpool(SpoolFile(tmp_path, "me"))
        names = ("cache_size", "synchronous", "journal_mode", "locking_mode")
        held = [spool._file.rows(f"PRAGMA {name}")[0][0] for name in names]
        assert held == [-32768, 0, "wal", "exclusive"]
        spool.close()


def test_a_batch_that_only_looks_is_no_transaction(tmp_path: Path) -> None:
    """Most batches of a drain change nothing, and cost SQLite neither a begin nor a commit."""
    spool = SqliteSpool(SpoolFile(tmp_path, "me"))
    said: list[str] = []
    spool._file._connection.set_trace_callback(said.append)
    with spool.batch():
        spool.first(lane("a"))
    assert [text for text in said if "SELECT" not in text] == []
    with spool.batch():
        spool.first(lane("a"))
        spool.add(waiting("a", 1))
        spool.add(waiting("a", 2))
    assert [text for text in said if text in ("BEGIN", "COMMIT")] == ["BEGIN", "COMMIT"]
    spool.close()


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """What is not ours is not deleted: one sentence says what to do, and the file stays."""
    (path := filled(tmp_path)).unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(SpoolError, match="another program: move it away, or let HOOKLANE_RETRIER"):
        open_spool(tmp_path, "me")
    assert path.read_bytes() == before


@pytest.mark.parametrize("bytes_", [b"", b"x", b"not a database\n" * 1000, bytes(8192)])
def test_what_is_no_database_is_begun_anew(tmp_path: Path, bytes_: bytes) -> None:
    """A file of zeros, of text, or an empty one gives way to a new spool that works."""
    filled(tmp_path).write_bytes(bytes_)
    spool = open_spool(tmp_path, "me")
    assert is_empty(spool)
    assert spool.add(TASKS[0])
    spool.close()


def test_a_deleted_file_is_begun_anew(tmp_path: Path) -> None:
    """The file may be deleted between two runs, also without its companions."""
    filled(tmp_path).unlink()
    spool = open_spool(tmp_path, "me")
    assert is_empty(spool)
    spool.close()


@pytest.mark.parametrize("word", ["", "another boot of the machine", "broken", "\udcff"])
def test_a_spool_that_the_machine_did_not_close_is_begun_anew(tmp_path: Path, word: str) -> None:
    """A file that was open when the machine went down may be written in part: it is not trusted."""
    path = filled(tmp_path)
    path.with_name(path.name + ".lock").write_text(word, errors="surrogateescape")
    spool = open_spool(tmp_path, "me")
    assert is_empty(spool)
    spool.close()


def test_only_a_closed_spool_outlives_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reboot a spool that was closed is as it was; one that was open is not trusted."""
    boot = tmp_path / "boot"
    boot.write_text("first")
    monkeypatch.setattr(spool_sqlite_lock, "_BOOT_ID", boot)
    filled(tmp_path / "spool")
    boot.write_text("second")
    spool = open_spool(tmp_path / "spool", "me")
    assert spool.tasks() == len(TASKS)
    shutil.copytree(tmp_path / "spool", tmp_path / "copy")
    spool.close()
    same = open_spool(tmp_path / "copy", "me")
    assert same.tasks() == len(TASKS)
    shutil.copytree(tmp_path / "copy", tmp_path / "late copy")
    same.close()
    boot.write_text("third")
    late = open_spool(tmp_path / "late copy", "me")
    assert is_empty(late)
    late.close()


def folder_is_a_file(folder: Path) -> None:
    folder.write_text("")


def file_is_a_folder(folder: Path) -> None:
    (folder / "retrier-me.spool").mkdir(parents=True)


def lock_is_a_folder(folder: Path) -> None:
    (folder / "retrier-me.spool.lock").mkdir(parents=True)


@pytest.mark.parametrize("obstacle", [folder_is_a_file, file_is_a_folder, lock_is_a_folder])
def test_a_folder_that_cannot_be_used_is_named(
    tmp_path: Path, obstacle: Callable[[Path], None]
) -> None:
    """One sentence with the path and the setting, and nothing stays locked."""
    obstacle(tmp_path / "spool")
    for _ in range(2):
        with pytest.raises(SpoolError, match=r"cannot be used .*: let HOOKLANE_RETRIER__SPOOL_DIR"):
            open_spool(tmp_path / "spool", "me")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    """A read-only folder is told by the sentence that names the setting."""
    (tmp_path / "spool").mkdir(mode=0o500)
    with pytest.raises(SpoolError, match=r"Permission denied.*HOOKLANE_RETRIER__SPOOL_DIR"):
        open_spool(tmp_path / "spool", "me")


def judge(folder: Path) -> str:
    """How a damaged spool is met: refused, begun anew, whole, or noticed when it is read."""
    try:
        spool = open_spool(folder, "me")
    except SpoolError as error:
        return f"refused: {error}"
    try:
        return read(spool)
    except SpoolError as error:
        return f"noticed: {error}"
    finally:
        spool.close()


def read(spool: Spool) -> str:
    """Everything in the spool is there as it was written, or nothing is."""
    if is_empty(spool):
        return "anew"
    assert content(spool, TASKS) == TASKS
    assert len(spool.due("billing", 9, 99)) == len(spool.lanes_of("billing", 99)) == 40
    assert spool.checkpoint(0) is not None
    return "whole"


def test_no_changed_byte_changes_a_delivery_unseen(tmp_path: Path) -> None:
    """Bytes flipped anywhere: what is given out is as it was written, or the file is begun anew."""
    path = filled(tmp_path / "good")
    sound = path.read_bytes()
    rnd = random.Random(7)
    seen = set()
    for position in (18, 68, *(rnd.randrange(len(sound)) for _ in range(250))):
        shutil.copytree(path.parent, tmp_path / "bad")
        damaged = bytearray(sound)
        damaged[position] ^= rnd.randrange(1, 256)
        (tmp_path / "bad" / path.name).write_bytes(damaged)
        found = judge(tmp_path / "bad")
        if found.startswith("noticed"):
            assert judge(tmp_path / "bad") == "anew", found
        seen.add(found.partition(":")[0])
        shutil.rmtree(tmp_path / "bad")
    assert seen == {"anew", "noticed", "whole"}


def test_a_truncated_file_is_begun_anew(tmp_path: Path) -> None:
    """However much of the end is missing, it is noticed when the file is opened."""
    path = filled(tmp_path / "good")
    sound = path.read_bytes()
    for length in (*range(0, len(sound), 4096), 1, 99, 5000, len(sound) - 1, len(sound) - 4097):
        shutil.copytree(path.parent, tmp_path / "bad")
        (tmp_path / "bad" / path.name).write_bytes(sound[:length])
        assert judge(tmp_path / "bad") == "anew", length
        shutil.rmtree(tmp_path / "bad")


def test_damage_under_a_running_process_is_said_and_mended_by_a_restart(tmp_path: Path) -> None:
    """A record that changed on the disk is not delivered; the next opening begins anew."""
    path = filled(tmp_path)
    other = sqlite3.connect(path)
    other.execute("UPDATE task SET value = X'FFFF' WHERE id = 3")
    other.execute("UPDATE task SET due_ms = 77 WHERE id = 4")
    other.commit()
    other.close()
    spool = open_spool(tmp_path, "me")
    assert spool.get(TASKS[0].lane, 0) == TASKS[0]
    for sequence in (2, 3):
        with pytest.raises(SpoolError, match="start the retrier again"):
            spool.get(TASKS[sequence].lane, sequence)
    spool.close()
    again = open_spool(tmp_path, "me")
    assert is_empty(again)
    again.close()


@pytest.mark.parametrize("value", [b"\xff", 5, "text"])
def test_damage_is_said_by_what_reads_ahead_too(tmp_path: Path, value: bytes | int | str) -> None:
    """Whatever stands there instead of a record, it is no record."""
    path = filled(tmp_path)
    other = sqlite3.connect(path)
    other.execute("UPDATE task SET value = ? WHERE id = 3", (value,))
    other.commit()
    other.close()
    spool = open_spool(tmp_path, "me")
    with pytest.raises(SpoolError, match="start the retrier again"):
        spool.following(TASKS[2].lane, -1, 1_000_000)
    spool.close()


def test_nothing_of_a_batch_is_kept_after_an_error_that_was_ignored(tmp_path: Path) -> None:
    """A statement that fails ends its batch, though SQLite itself would go on with it."""
    path = filled(tmp_path)
    other = sqlite3.connect(path)
    other.execute(
        "CREATE TRIGGER no BEFORE INSERT ON task BEGIN SELECT RAISE(FAIL, 'no room'); END"
    )
    other.commit()
    other.close()
    spool = open_spool(tmp_path, "me")

    def go_on() -> None:
        with spool.batch():
            spool.remove(TASKS[0].lane, [0])
            with pytest.raises(SpoolError, match="is broken"):
                spool.add(waiting("new", 1))
            spool.remove(TASKS[1].lane, [1])

    with pytest.raises(SpoolError, match="rolled back and cannot go on"):
        go_on()
    assert content(spool, TASKS) == TASKS
    spool.close()
