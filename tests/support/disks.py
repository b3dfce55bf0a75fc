"""Disks of a test's own: one that is small, and one that can stand still. They need the right to
mount, and a test that asks for one is skipped where that is missing."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[Path]:
    """A disk of that size, in memory."""
    folder.mkdir()
    _mount(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], "a tmpfs")
    try:
        yield folder
    finally:
        _unmount(folder)


def enlarge(folder: Path, size: str) -> None:
    """Give a small disk more room."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


@contextmanager
def freezing_disk(folder: Path, size: int = 64 * 2**20) -> Iterator[Path]:
    """A file system that `freeze` can make stand still."""
    folder.mkdir()
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(size)
    _mount(["mkfs.ext4", "-q", str(image)], "an ext4 image")
    _mount(["mount", "-o", "loop", str(image), str(folder)], "a loop device")
    try:
        yield folder
    finally:
        _unmount(folder)


def freeze(folder: Path, seconds: float) -> None:
    """Writes to it wait for so long. The shell thaws it also where the test run is killed."""
    script = 'fsfreeze -f "$0" && { sleep "$1"; fsfreeze -u "$0"; }'
    subprocess.run(["sh", "-c", script, str(folder), str(seconds)], check=True)


def _mount(command: Sequence[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        done = False
    if not done:
        pytest.skip(f"mounting {what} is not permitted here")


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=True)
