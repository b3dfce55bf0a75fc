"""`hooklane catalog` as it is typed: files that are written, what is said of a bad folder."""

import json
import re
from html import unescape
from pathlib import Path
from shutil import copytree

import jsonschema
import pytest

from hooklane.delivery.signing.verify import Verified, Verifier
from hooklane.ops.catalog_request import SECRET
from hooklane.ops.main import run
from tests.support.catalog_facts import SCHEMAS
from tests.support.pages import ROOT

SIGNED_AT = 1_768_469_400


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the schemas, named by the setting."""
    copied = copytree(SCHEMAS, tmp_path / "schemas")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKLANE_EVENTS__SCHEMAS_DIR", str(copied))
    return copied


def built(folder: Path, *more: str) -> dict[str, str]:
    """What is written, by its path."""
    out = folder.parent / "out"
    assert run(["catalog", "build", "--out", str(out), *more]) == 0
    files = (one for one in out.rglob("*") if one.is_file())
    return {str(one.relative_to(out)): one.read_text() for one in files}


def test_build_writes_all_of_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Documents, index, a page, a schema and a sample for each type; each build the same."""
    first = built(folder, "--title", "Shop & events", "--release", "2026-11")
    assert "4 types: 17 files" in capsys.readouterr().err
    names = {Path(path).stem for path in first if path.startswith("types/")}
    assert names == {"customer.created", "invoice.paid.v1", "invoice.paid.v2", "order.shipped"}
    for name in names:
        schema = json.loads(first[f"schemas/{name}.json"])
        jsonschema.Draft202012Validator(schema).validate(json.loads(first[f"samples/{name}.json"]))
    assert json.loads(first["openapi.json"])["info"]["title"] == "Shop & events"
    assert json.loads(first["asyncapi.json"])["info"]["version"] == "2026-11"
    assert "Shop &amp; events 2026-11" in first["index.html"]
    assert built(folder, "--title", "Shop & events", "--release", "2026-11") == first


def test_pages_stand_alone(folder: Path) -> None:
    """No script, nothing from elsewhere, links that lead somewhere; no schema's text is HTML."""
    bad = json.loads((folder / "customer.created.json").read_text())
    bad["description"] = "<script>alert(1)</script>"
    bad["properties"]['"><img src=x>'] = {"const": "<b>"}
    (folder / "customer.created.json").write_text(json.dumps(bad))
    found = built(folder)
    pages = {path: text for path, text in found.items() if path.endswith(".html")}
    assert len(pages) == 6
    for path, text in pages.items():
        assert not re.search(r"<script|<img|<link[^>]+stylesheet|@import|url\(|<b>", text), path
        assert re.search("default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'", text)
        for link in re.findall(r'href="([^"]*)"', text):
            if not link.startswith(("data:", "#", "https://www.standardwebhooks.com/")):
                assert (folder.parent / "out" / path).parent.joinpath(link).is_file(), link
    assert "&lt;script&gt;alert(1)" in pages["types/customer.created.html"]


def test_what_stands_on_a_type_s_page(folder: Path) -> None:
    """Deprecated with what to use instead, both versions side by side, fields, what is made up."""
    found = built(folder, "--docs-url", "https://docs.example.com/receiving/")
    old = found["types/invoice.paid.v1.html"]
    assert 'Use <a href="invoice.paid.v2.html">invoice.paid.v2</a> instead.' in old
    assert "The data is made up" not in old
    compared = old[old.index("Versions side by side") :]
    assert re.search(r"amount</div>.*?number</div>.*?money</div>", compared, re.DOTALL)
    assert "Deprecated" not in found["types/invoice.paid.v2.html"]
    assert "The data is made up" in found["types/order.shipped.html"]
    assert "parcels[].sku" in found["types/order.shipped.html"]
    assert "Avro; receivers get JSON" in found["types/order.shipped.html"]
    assert 'href="https://docs.example.com/receiving/node"' in found["receiving.html"]
    row = re.search(
        r"<tr role=.row.>(?:(?!</tr>).)*invoice.*?</tr>", found["index.html"], re.DOTALL
    )
    assert row is not None
    assert row[0].index("invoice.paid.v2") < row[0].index("invoice.paid.v1")
    assert "deprecated" in row[0]


def test_a_sample_request_is_genuine(folder: Path) -> None:
    """What a page shows verifies, byte by byte, with the secret that it names; so does the file."""
    found = built(folder)
    page = found["types/invoice.paid.v2.html"]
    [shown] = re.findall(r"<pre[^>]*>(POST .*?)</pre>", page, re.DOTALL)
    head, _, body = unescape(shown).partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    assert body == found["samples/invoice.paid.v2.json"]
    assert SECRET in page
    verdict = Verifier([SECRET.encode()]).verify(headers, body.encode(), SIGNED_AT)
    assert isinstance(verdict, Verified)


def test_list_and_show(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The facts as rows; one type with its schema and a sample that fits it."""
    assert run(["catalog", "list", "-o", "json"]) == 0
    rows = {row["type"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["invoice.paid.v1"]["deprecated"] is True
    assert rows["invoice.paid.v1"]["replaced_by"] == "invoice.paid.v2"
    assert rows["order.shipped"]["topics"] == ["orders.events", "warehouse.events"]
    assert rows["order.shipped"]["schema"] == "avro"
    assert run(["catalog", "show", "order.shipped", "-o", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(shown["json_schema"]).validate(shown["sample"])
    assert run(["catalog", "show", "order.shipped"]) == 0
    said = capsys.readouterr().out
    assert "parcels[].carrier" in said
    assert '"carrier": "POST"' in said


def test_an_unknown_type_is_told_its_like(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Near names, or some that there are."""
    assert run(["catalog", "show", "invoice.payed.v2"]) == 2
    assert "did you mean invoice.paid.v2 or invoice.paid.v1?" in capsys.readouterr().err
    assert run(["catalog", "show", "x"]) == 2
    assert "there are customer.created, invoice.paid.v1, " in capsys.readouterr().err


def test_check_names_every_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All at once, exit 1, and build refuses too; a folder without a fault is 0."""
    assert run(["catalog", "check"]) == 0
    assert "4 types, nothing wrong." in capsys.readouterr().err
    for name, text in {
        "a.json": "{",
        "b.json": '{"type": "integer", "examples": [1, "x"]}',
        "c.json": '{"x-hooklane": {"replaced_by": "nobody"}}',
        "d.json": '{"type": "string", "pattern": "^[!]{9}$"}',
        "e.json": '{"$anchor": "here", "type": "string"}',
        "f.avsc": '{"type": "record", "name": "F", "fields": [{"name": "a", "type": "what"}]}',
        "Order.shipped.json": "{}",
    }.items():
        (folder / name).write_text(text)
    assert run(["catalog", "check"]) == 1
    said = capsys.readouterr().err
    for words in (
        "a.json, line 1",
        "b.json, example 2, $: ",
        "c.json: replaced_by names nobody",
        "d: nothing that is like ^[!]{9}$ was found for text; add an example",
        "e: $anchor is not taken",
        "f.avsc, $: ",
        "order.shipped: its page would have the name of another type's",
    ):
        assert words in said
    assert len(said.splitlines()) == 7
    assert run(["catalog", "build", "--out", "out"]) == 1
    assert not Path("out").exists()


def test_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither option nor setting, or one that is not there: what to name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOOKLANE_EVENTS__SCHEMAS_DIR", raising=False)
    assert run(["catalog", "list"]) == 2
    assert "by --schemas, or by HOOKLANE_EVENTS__SCHEMAS_DIR" in capsys.readouterr().err
    assert run(["catalog", "list", "--schemas", "nowhere"]) == 1
    assert "nowhere cannot be read as a folder of schemas" in capsys.readouterr().err


def test_the_example_shows_what_replaces_the_old_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """examples/versions is a catalog without a fault, whose old version leads to the new one."""
    folder = copytree(ROOT / "examples" / "versions" / "schemas", tmp_path / "schemas")
    assert run(["catalog", "check", "--schemas", str(folder)]) == 0
    old = built(folder, "--schemas", str(folder))["types/invoice.paid.v1.html"]
    assert 'Use <a href="invoice.paid.v2.html">invoice.paid.v2</a> instead.' in old
    assert "Versions side by side" in old
