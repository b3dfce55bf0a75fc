"""Reading subscription documents from files, folders and stdin."""

import io
import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from hooklane.ops.subscriptions_files import read_documents
from hooklane.runtime.errors import UsageError


def write(folder: Path, name: str, text: str | bytes) -> str:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(file)


def documents(*sources: str) -> list[object]:
    return [given.document for given in read_documents(sources)]


def test_a_file_with_many_documents(tmp_path: Path) -> None:
    """Each YAML document is one, empty ones are passed over, and each knows its place."""
    file = write(tmp_path, "a.yaml", "id: a\n---\n---\nid: b\nurl: https://h\n...\n")
    found = read_documents([file])
    assert [one.document for one in found] == [{"id": "a"}, {"id": "b", "url": "https://h"}]
    assert [one.place for one in found] == [f"{file}, document 1", f"{file}, document 2"]


def test_a_folder_has_its_yaml_and_json_files_by_name(tmp_path: Path) -> None:
    """.yaml, .yml and .json, in the order of their names; other files and folders are not read."""
    write(tmp_path, "c.yml", "id: c")
    write(tmp_path, "a.json", '{"id": "a"}')
    write(tmp_path, "b.yaml", "id: b")
    write(tmp_path, "README.md", "# no")
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", "d.yaml", "id: d")
    assert documents(str(tmp_path)) == [{"id": "a"}, {"id": "b"}, {"id": "c"}]


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads YAML, or JSON, which is YAML too."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b'{"id": "a"}')))
    assert documents("-") == [{"id": "a"}]


def test_times_stay_text_and_anchors_work(tmp_path: Path) -> None:
    """A time without quotes is the text of the document; anchors and merge keys are taken."""
    text = "effective_from: 2026-11-01T00:00:00Z\nb: &x {c: 1}\nd: {<<: *x, e: 2}\n"
    assert documents(write(tmp_path, "a.yaml", text)) == [
        {"effective_from": "2026-11-01T00:00:00Z", "b": {"c": 1}, "d": {"c": 1, "e": 2}}
    ]


MERGE_BOMB = "a0: &a0 {k: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], k{n}: 1}}\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a: !!python/object/apply:os.system [id]",
            "could not determine a constructor for the tag",
        ),
        ("a: !secret x", "could not determine a constructor for the tag"),
        ("a: 1\nb: 2\na: 3", "the field 'a' is there twice at line 3, column 1"),
        ("a:\n  b: {c: 1, c: 2}", "the field 'c' is there twice at line 2"),
        ("a: [", "is not YAML that is taken here"),
        ("a: *b", "found undefined alias"),
        ("a: \x00", "is not YAML that is taken here"),
        (b"a: \xff", "is not UTF-8 text"),
        ("[" * 100_000 + "]" * 100_000, "nested deeper than"),
        ("- " * 5000 + "x", "nested deeper than"),
        ("a: '" + "x" * 300_000 + "'", "a document of more than"),
        (MERGE_BOMB, "more than 1000 fields in a mapping"),
        ("b: &b {c: 1}\na: {<<: [" + ", ".join(["*b"] * 17) + "]}", "more than 16 mappings"),
        ("? [a, b]\n: 1", "a field's name is not text at line 1"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_yaml_that_is_refused(tmp_path: Path, text: str | bytes, said: str) -> None:
    """Unknown tags, names twice, broken text and bombs: one line that names the file, at once."""
    file = write(tmp_path, "a.yaml", text)
    started = time.perf_counter()
    with pytest.raises(UsageError, match=said) as caught:
        read_documents([file])
    assert time.perf_counter() - started < 5
    assert str(caught.value).startswith(file)
    assert "\n" not in str(caught.value)


def test_json_files_are_strict(tmp_path: Path) -> None:
    """A .json file is JSON: names twice and NaN are refused."""
    file = write(tmp_path, "a.json", '{"a": 1, "a": 2}')
    with pytest.raises(UsageError, match="the field 'a' twice"):
        read_documents([file])
    file = write(tmp_path, "b.json", json.dumps({"id": "a"}))
    assert documents(file) == [{"id": "a"}]


def test_what_is_not_there(tmp_path: Path) -> None:
    """A missing file and a folder without documents are told by their names."""
    with pytest.raises(UsageError, match=r"nowhere\.yaml cannot be read: No such file"):
        read_documents([str(tmp_path / "nowhere.yaml")])
    with pytest.raises(UsageError, match="There is no document in"):
        read_documents([str(tmp_path)])
