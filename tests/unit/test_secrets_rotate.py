"""Secrets encrypted again under the first key, in files."""

import base64
import stat
from pathlib import Path

import pytest

from hooklane.ops.secrets_rotate import renewed_files, write_files
from hooklane.runtime.errors import SecretError, UsageError
from hooklane.runtime.secrets_enc import EncryptionKeys, key_id, read_key
from tests.unit.test_secrets_cli import call, keys_of

OLD, NEW, OTHER = (bytes([n]) * 32 for n in (1, 2, 3))
BEFORE = EncryptionKeys([OLD])
BOTH = EncryptionKeys([NEW, OLD])


def text(*references: str) -> str:
    return f"# ours: keep\nid: a\nsigning: {{secrets: [{', '.join(references)}]}}\r\n"


def test_only_what_is_under_another_key_changes() -> None:
    """The same secret under the first key; the rest of the text stays, to the byte."""
    kept, old = BOTH.encrypt(b"one"), BEFORE.encrypt(b"two")
    new, count = BOTH.renewed(text(kept, old))
    assert count == 1
    assert kept in new
    [renewed] = [one for one in new.split("[")[1].split("]")[0].split(", ") if one != kept]
    assert new == text(kept, renewed)
    assert renewed.startswith(f"enc:v1:{key_id(NEW)}:")
    assert EncryptionKeys([NEW]).decrypt(renewed) == b"two"
    assert BOTH.renewed(new) == (new, 0)


def test_nothing_is_written_unless_everything_can_be(tmp_path: Path) -> None:
    """A key that is missing for one file leaves all files as they were, and is named."""
    first, second = tmp_path / "a.yaml", tmp_path / "b.json"
    first.write_text(text(BEFORE.encrypt(b"one")))
    second.write_text(text(EncryptionKeys([OTHER]).encrypt(b"two")))
    before = first.read_bytes(), second.read_bytes()
    with pytest.raises(SecretError, match=key_id(OTHER)):
        write_files(renewed_files([str(tmp_path)], BOTH))
    assert (first.read_bytes(), second.read_bytes()) == before


def test_files_are_written_whole_and_keep_their_mode(tmp_path: Path) -> None:
    """Those of a folder that hold documents, by their suffix; a link's target, not the link."""
    folder, elsewhere = tmp_path / "documents", tmp_path / "elsewhere.yaml"
    folder.mkdir()
    elsewhere.write_text(text(BEFORE.encrypt(b"one")))
    elsewhere.chmod(0o640)
    (folder / "a.yaml").symlink_to(elsewhere)
    other = folder / "notes.txt"
    other.write_text(text(BEFORE.encrypt(b"two")))
    untouched = other.read_text()
    write_files(renewed_files([str(folder)], BOTH))
    assert BOTH.renewed(elsewhere.read_text())[1] == 0
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o640
    assert (folder / "a.yaml").is_symlink()
    assert other.read_text() == untouched
    assert [one.name for one in folder.iterdir() if one.name.startswith(".")] == []


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """One sentence with the path."""
    with pytest.raises(UsageError, match=r"gone\.yaml cannot be read: No such file"):
        renewed_files([str(tmp_path / "gone.yaml")], BOTH)


def test_the_command(tmp_path: Path) -> None:
    """It says how many secrets of which file, then that there is nothing to do."""
    old, new = (base64.b64encode(key).decode() for key in (OLD, NEW))
    file = tmp_path / "a.yaml"
    file.write_text(text(BEFORE.encrypt(b"one"), BEFORE.encrypt(b"two")))
    done = call("rotate", "-f", str(file), stdin=b"", **keys_of(new, old))
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split()[-3:] == [str(file), "2", "rotated"]
    again = call("rotate", "-f", str(file), stdin=b"", **keys_of(new))
    assert (again.returncode, again.stdout) == (0, b"")
    assert b"Nothing to do" in again.stderr
    assert read_key(new) == NEW
