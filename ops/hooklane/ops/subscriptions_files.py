"""Subscription documents from files, folders and stdin: YAML (one or many documents) and JSON."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hooklane.runtime.errors import UsageError
from hooklane.schemas.subscription_faults import SubscriptionError
from hooklane.schemas.subscription_text import DEEPEST_DOCUMENT, LARGEST_DOCUMENT, read_document

STDIN = "-"
SUFFIXES = (".yaml", ".yml", ".json")
LARGEST_FILE = 64 * 2**20
MOST_MERGES = 16
MOST_MERGED = 1000
"""Fields of one mapping after its merge keys (`<<`)."""


@dataclass(frozen=True, slots=True)
class Given:
    """A document as a file has it. `place` says where it is, for messages."""

    place: str
    document: object


def read_documents(sources: Sequence[str]) -> list[Given]:
    """Every document of the files, folders (their .yaml, .yml and .json files) and `-` (stdin).

    Raises:
        UsageError: something cannot be read, or there is no document at all.
    """
    found = [given for source in sources for given in _read_source(source)]
    if not found:
        raise UsageError(f"There is no document in {', '.join(sources)}.")
    return found


def _read_source(source: str) -> Iterator[Given]:
    if source == STDIN:
        yield from _read_text("stdin", sys.stdin.buffer.read(LARGEST_FILE + 1))
        return
    path = Path(source)
    try:
        files = (
            sorted(p for p in path.iterdir() if p.suffix in SUFFIXES) if path.is_dir() else [path]
        )
        for file in files:
            with file.open("rb") as opened:
                data = opened.read(LARGEST_FILE + 1)
            if file.suffix == ".json":
                yield Given(str(file), _read_json(str(file), data))
            else:
                yield from _read_text(str(file), data)
    except OSError as error:
        raise UsageError(f"{error.filename or source} cannot be read: {error.strerror}.") from error


def _read_json(name: str, data: bytes) -> object:
    try:
        return read_document(data)
    except SubscriptionError as error:
        raise UsageError(f"{name}: {error}.") from error


def _read_text(name: str, data: bytes) -> Iterator[Given]:
    if len(data) > LARGEST_FILE:
        raise UsageError(f"{name} is too large: at most {LARGEST_FILE // 2**20} MiB a file.")
    try:
        text = data.decode("utf-8-sig")
        _check_nesting(text)
        documents = [one for one in yaml.load_all(text, _Loader) if one is not None]
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{name} is not YAML that is taken here: {_said(error)}.") from error
    for number, document in enumerate(documents, start=1):
        yield Given(name if len(documents) == 1 else f"{name}, document {number}", document)


def _check_nesting(text: str) -> None:
    """Event by event, before anything recursive: libyaml's composer would end the process."""
    depth = start = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        at = 0 if event.end_mark is None else event.end_mark.index
        match event:
            case yaml.DocumentStartEvent():
                start = at
            case yaml.CollectionStartEvent():
                depth += 1
            case yaml.CollectionEndEvent():
                depth -= 1
            case _:
                pass
        if depth > DEEPEST_DOCUMENT:
            raise _refused(f"nested deeper than {DEEPEST_DOCUMENT} levels", event.start_mark)
        if at - start > LARGEST_DOCUMENT:
            raise _refused(f"a document of more than {LARGEST_DOCUMENT} bytes", event.start_mark)


class _Loader(yaml.CSafeLoader):
    """Plain values only: unknown tags are refused, no name may be there twice in a mapping, and a
    time is text, as in JSON."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        self._check_names(node)
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return found

    def flatten_mapping(self, node: Any) -> None:
        self._check_names(node)
        super().flatten_mapping(node)
        # Merges of merges would grow without end, long before a size could be measured.
        if len(node.value) > MOST_MERGED:
            raise _refused(f"more than {MOST_MERGED} fields in a mapping", node.start_mark)

    def _check_names(self, node: Any) -> None:
        if getattr(node, "names_checked", False):
            return
        node.names_checked = True
        seen: set[str] = set()
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise _refused("a field's name is not text", name.start_mark)
            if name.tag == "tag:yaml.org,2002:merge":
                if isinstance(value, yaml.SequenceNode) and len(value.value) > MOST_MERGES:
                    raise _refused(
                        f"more than {MOST_MERGES} mappings merged at once", name.start_mark
                    )
                continue
            if name.value in seen:
                raise _refused(f"the field {name.value!r} is there twice", name.start_mark)
            seen.add(name.value)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _refused(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _said(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or str(error)
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
    return " ".join(str(problem).split()) + where
