"""The spool when its process is killed and when its disk is full."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooklane.retrier.spool import Checkpoint, Spool
from hooklane.retrier.spool_sqlite import open_spool
from hooklane.retrier.spool_sqlite_lock import SpoolError
from tests.support import disks
from tests.support.spool_facts import content, lane, waiting

_BATCH = 50
_RECORD = 2_000


def add_batch(spool: Spool, number: int) -> None:
    """The tasks of batch `number`, and a checkpoint that says so, in one batch."""
    with spool.batch():
        fill(spool, number)


def fill(spool: Spool, number: int) -> None:
    for sequence in range(number * _BATCH, (number + 1) * _BATCH):
        spool.add(waiting(f"lane {sequence % 9}", sequence, record=bytes(_RECORD)))
    spool.save_checkpoint(Checkpoint(0, "x", number + 1, 1))


def assert_whole(spool: Spool) -> int:
    """The tasks are those that the checkpoint speaks of, no more and no less; gives the batches."""
    saved = spool.checkpoint(0)
    batches = 0 if saved is None else saved.offset
    tasks = [
        waiting(f"lane {sequence % 9}", sequence, record=bytes(_RECORD))
        for sequence in range(batches * _BATCH)
    ]
    assert spool.tasks() == len(tasks)
    assert content(spool, tasks) == tasks
    return batches


def child(role: str, folder: Path) -> "subprocess.Popen[str]":
    """This file as a program of its own."""
    return subprocess.Popen(
        [sys.executable, __file__, role, str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_within_a_batch_leaves_the_batches_before(tmp_path: Path) -> None:
    """SIGKILL between the changes of a batch: it never was, and the lock is free again."""
    with child("die-in-batch", tmp_path) as process:
        assert process.wait(30) == -signal.SIGKILL
    spool = open_spool(tmp_path, "me")
    assert assert_whole(spool) == 3
    add_batch(spool, 3)
    assert assert_whole(spool) == 4
    spool.close()


@pytest.mark.parametrize("batches", [1, 40, 260])
def test_killed_at_any_moment_leaves_what_was_said_to_be_kept(tmp_path: Path, batches: int) -> None:
    """SIGKILL at work, also around the log's way into the database: nothing kept is missing."""
    with child("work", tmp_path) as process:
        assert process.stdout is not None
        for _ in range(batches):
            assert process.stdout.readline()
        process.kill()
        told = batches + len(process.stdout.readlines())
        process.wait(30)
    spool = open_spool(tmp_path, "me")
    # The last of them may not have been told yet.
    assert told <= assert_whole(spool) <= told + 1
    spool.close()


def test_a_limit_on_the_file_undoes_the_batch_and_work_goes_on(tmp_path: Path) -> None:
    """Writes that fail in the middle of a batch undo it; with room again it is done again."""
    with child("full", tmp_path) as process:
        assert process.stdout is not None
        told = process.stdout.read().split()
        assert process.wait(60) == 0
    assert told == ["full", "whole", "again"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    with disks.small_disk(tmp_path / "disk") as folder:
        yield folder


def test_a_full_disk_undoes_the_batch_and_work_goes_on(small_disk: Path) -> None:
    """No space left: one clear error a batch, nothing half done, and room heals it."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_500_000))
    spool = open_spool(small_disk, "me")
    done = add_until_full(spool)
    with pytest.raises(SpoolError, match=r"HOOKLANE_RETRIER__SPOOL_DIR .* disk with room"):
        add_batch(spool, done)
    assert assert_whole(spool) == done > 3
    ballast.unlink()
    add_batch(spool, done)
    assert assert_whole(spool) == done + 1
    spool.close()
    again = open_spool(small_disk, "me")
    assert assert_whole(again) == done + 1
    again.close()


def test_a_full_disk_at_the_start_is_said(small_disk: Path) -> None:
    """Without room for an empty spool the sentence says where to make some."""
    room = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(bytes(room.f_bavail * room.f_bsize))
    with pytest.raises(SpoolError, match=r"cannot be used .*HOOKLANE_RETRIER__SPOOL_DIR"):
        open_spool(small_disk, "me")
    (small_disk / "ballast").unlink()
    spool = open_spool(small_disk, "me")
    assert assert_whole(spool) == 0
    spool.close()


def test_a_failure_that_is_kept_quiet_undoes_the_batch_all_the_same(small_disk: Path) -> None:
    """Whoever goes on in a batch after an error is refused, so that no half of it is kept."""
    spool = open_spool(small_disk, "me")
    done = add_until_full(spool)

    def add_more_than_is_held_in_memory() -> None:
        for sequence in range(60):
            spool.add(waiting("big", sequence, record=bytes(1_000_000)))

    def go_on() -> None:
        with spool.batch():
            spool.remove(lane("lane 0"), [0])
            with pytest.raises(SpoolError, match="cannot be used"):
                add_more_than_is_held_in_memory()
            spool.remove(lane("lane 1"), [1])

    with pytest.raises(SpoolError, match="rolled back and cannot go on"):
        go_on()
    assert assert_whole(spool) == done
    spool.close()


def add_until_full(spool: Spool) -> int:
    """How many batches were kept."""
    for number in range(1_000):
        try:
            add_batch(spool, number)
        except SpoolError:
            return number
    raise AssertionError("the disk never was full")


def _die_in_batch(spool: Spool) -> None:
    for number in range(3):
        add_batch(spool, number)
    with spool.batch():
        fill(spool, 3)
        os.kill(os.getpid(), signal.SIGKILL)


def _work(spool: Spool) -> None:
    for number in range(100_000):
        add_batch(spool, number)
        print(number, flush=True)


def _full(spool: Spool) -> None:
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, unlimited))
    done = add_until_full(spool)
    print("full", flush=True)
    assert assert_whole(spool) == done > 3
    print("whole", flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
    add_batch(spool, done)
    assert assert_whole(spool) == done + 1
    spool.close()
    print("again", flush=True)


if __name__ == "__main__":
    roles = {"die-in-batch": _die_in_batch, "work": _work, "full": _full}
    roles[sys.argv[1]](open_spool(Path(sys.argv[2]), "me"))
