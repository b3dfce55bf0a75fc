"""What `hooklane dev` notices of its folder, and what of its files it takes."""

from pathlib import Path

import pytest

from hooklane.ops.dev_documents import Documents
from hooklane.ops.dev_folder import Changes, FolderWatch, snapshot
from hooklane.ops.subscriptions_files import Given
from hooklane.runtime.errors import UsageError
from hooklane.schemas.subscription_values import ServicePolicy

A, B = Path("a.yaml"), Path("b.yaml")
ONE, TWO = (1, 1, 1), (2, 2, 2)


def document(name: str, url: str = "https://x.example") -> list[Given]:
    return [Given(f"{name}.yaml", {"id": name, "url": url})]


def test_only_documents_are_seen(tmp_path: Path) -> None:
    """Files of YAML and JSON, not what an editor puts beside, no folders, no links to nowhere."""
    for name in ("a.yaml", "b.yml", "c.json", "d.txt", ".e.yaml", "f.yaml~"):
        (tmp_path / name).write_text("x")
    (tmp_path / "g.yaml").mkdir()
    (tmp_path / "h.yaml").symlink_to(tmp_path / "gone")
    assert [path.name for path in snapshot(tmp_path)] == ["a.yaml", "b.yml", "c.json"]


def test_one_file_is_enough(tmp_path: Path) -> None:
    """A file in place of a folder is all there is; once it is gone, so is the folder."""
    file = tmp_path / "a.yaml"
    file.write_text("x")
    assert list(snapshot(file)) == [file]
    file.unlink()
    with pytest.raises(OSError, match="No such file"):
        snapshot(file)


def test_a_file_that_is_written_again_looks_different(tmp_path: Path) -> None:
    """Also with the same size, and also when another file takes its place."""
    file = tmp_path / "a.yaml"
    file.write_text("one")
    seen = [snapshot(tmp_path)[file]]
    other = tmp_path / "other"
    other.write_text("two")
    other.rename(file)
    seen.append(snapshot(tmp_path)[file])
    assert seen[0] != seen[1]


def test_what_still_changes_is_waited_for() -> None:
    """Only what two looks agree on is told, and once."""
    watch = FolderWatch()
    looks = [{A: ONE}, {A: TWO}, {A: TWO}, {A: TWO}]
    assert [watch.look(one) for one in looks] == [None, None, Changes((A,), ()), None]


def test_an_empty_folder_is_told_first() -> None:
    """So that somebody learns that there is nothing; afterwards only changes are."""
    watch = FolderWatch()
    assert [watch.look({}), watch.look({}), watch.look({})] == [None, Changes((), ()), None]


def test_new_changed_and_gone() -> None:
    """Each file is told as what it is."""
    watch = FolderWatch()
    for one in ({A: ONE}, {A: ONE}, {A: TWO, B: ONE}):
        watch.look(one)
    assert watch.look({A: TWO, B: ONE}) == Changes((A, B), ())
    watch.look({B: ONE})
    assert watch.look({B: ONE}) == Changes((), (A,))


def test_a_bad_file_leaves_its_last_good_version() -> None:
    """One sentence names the file, the field and how much more there is; the others go on."""
    documents = Documents(ServicePolicy())
    assert documents.take(A, lambda: document("a")) is None
    said = documents.take(A, lambda: document("a", "ftp://x"))
    assert said is not None
    assert said.startswith("a.yaml: url: ")
    assert said.endswith("; its last good version stays.")
    assert documents.take(B, lambda: document("b")) is None
    assert {name: one.url for name, one in documents.wanted().items()} == {
        "a": "https://x.example",
        "b": "https://x.example",
    }


def test_a_file_that_was_never_good_is_left_out() -> None:
    """Whether it is no document, or cannot be read at all."""

    def unreadable() -> list[Given]:
        raise UsageError("a.yaml is not UTF-8 text.")

    documents = Documents(ServicePolicy())
    assert documents.take(A, unreadable) == "a.yaml is not UTF-8 text; it is left out."
    faults = documents.take(B, lambda: [Given("b.yaml", {"id": "b", "url": "x", "nonsense": 1})])
    assert faults is not None
    assert "(and 1 more); it is left out." in faults
    assert documents.wanted() == {}


def test_of_two_files_with_one_id_the_first_counts() -> None:
    """It is told which; when the first one goes, the other one takes its place."""
    documents = Documents(ServicePolicy())
    documents.take(B, lambda: document("same", "https://b.example"))
    documents.take(A, lambda: document("same", "https://a.example"))
    assert documents.wanted()["same"].url == "https://a.example"
    assert documents.conflicts() == ["b.yaml: same is in a.yaml too, and that one counts."]
    documents.forget(A)
    assert documents.wanted()["same"].url == "https://b.example"
    assert documents.conflicts() == []
