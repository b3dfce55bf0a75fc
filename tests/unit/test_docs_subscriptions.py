"""docs/subscriptions.md says what the code does: its examples, its fields, its limits."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hooklane.ops.main import run
from hooklane.schemas.filters import DEEPEST_FILTER, DIALECTS, MOST_FILTERS
from hooklane.schemas.subscription import json_schema, validate
from hooklane.schemas.subscription_text import DEEPEST_DOCUMENT, LARGEST_DOCUMENT, MOST_VALUES
from hooklane.schemas.subscription_values import ServicePolicy

PAGE = (Path(__file__).parents[2] / "docs" / "subscriptions.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ROWS = dict(re.findall(r"^\| `([a-z0-9_.]+)` \| (.*) \|$", PAGE, re.MULTILINE))

# Groups of the table whose fields stand in the row of the group.
_TOLD_TOGETHER = ("auth.bearer", "auth.basic", "auth.header", "auth.oauth2", "auth.mtls")


def field_paths(schema: dict[str, Any], part: dict[str, Any], place: str = "") -> dict[str, Any]:
    """Every field of the document's JSON Schema by its path; filters and maps have no fields."""
    found: dict[str, Any] = {}
    for name, field in part.get("properties", {}).items():
        path = f"{place}{name}"
        found[path] = field
        for one in (field, *field.get("anyOf", ())):
            if "$ref" in one and path != "match.filters":
                kind = schema["$defs"][one["$ref"].rpartition("/")[2]]
                found |= field_paths(schema, kind, f"{path}.")
    return found


def test_the_page_has_examples() -> None:
    """The tests below are about something."""
    assert len(EXAMPLES) >= 5
    assert len(ROWS) >= 30


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid(
    example: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`hooklane subscriptions validate` takes it, by the default settings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.yaml").write_text(example)
    code = run(["subscriptions", "validate", "-f", "example.yaml"])
    told = capsys.readouterr()
    assert (code, told.err) == (0, "")
    assert told.out == f"{yaml.safe_load(example)['id']} valid\n"


def test_every_field_is_in_the_table_and_no_other() -> None:
    """A field that comes or goes must come or go in the page."""
    schema = json_schema()
    fields = {
        path: field
        for path, field in field_paths(schema, schema).items()
        if not path.startswith(tuple(f"{group}." for group in _TOLD_TOGETHER))
    }
    assert ROWS.keys() == fields.keys()
    for group in _TOLD_TOGETHER:
        kind = schema["$defs"][f"{group[5:].capitalize().replace('Oauth2', 'OAuth2')}Auth"]
        assert set(re.findall(r"`([a-z_]+)`", ROWS[group])) >= set(kind["properties"])


def test_the_words_and_defaults_of_the_table_are_those_of_the_schema() -> None:
    """Each word of a closed list is in its row, and a plain default is the row's default."""
    schema = json_schema()
    for path, field in field_paths(schema, schema).items():
        if path not in ROWS:
            continue
        kind = schema["$defs"][field["$ref"].rpartition("/")[2]] if "$ref" in field else field
        for word in kind.get("enum", ()):
            assert f"`{word}`" in ROWS[path], path
        if isinstance(field.get("default"), str | int) and field["default"] != "":
            assert f"| `{str(field['default']).replace('False', 'false')}` |" in ROWS[path], path


def test_what_is_required_is_enough() -> None:
    """`id` and `url` alone are a document; without either one is refused."""
    required = {path for path, row in ROWS.items() if "| required |" in row and "." not in path}
    assert required == set(json_schema()["required"]) == {"id", "url"}
    least = {"id": "least", "url": "https://example.com"}
    assert validate(least, ServicePolicy()).document() == least


def test_dialects_and_limits_are_told() -> None:
    """The page names each dialect, and the limits that the code has."""
    assert all(f"`{dialect}: " in PAGE for dialect in DIALECTS)
    assert f"{LARGEST_DOCUMENT // 1024} KiB, {DEEPEST_DOCUMENT} levels and {MOST_VALUES:,}" in PAGE
    assert f"{MOST_FILTERS:,} filters, {DEEPEST_FILTER} levels" in PAGE
