"""`hooklane trigger` without Kafka: what would be published, and what is refused before."""

import json
from pathlib import Path

import pytest

from hooklane.ops.main import run
from hooklane.ops.trigger_data import overridden
from hooklane.runtime.errors import UsageError
from tests.support.catalog_facts import SCHEMAS

DATA = {"a": 1, "lines": [{"sku": "x"}, {"sku": "y"}], "who": {"name": "Ada"}, "none": None}


@pytest.fixture(autouse=True)
def schemas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKLANE_EVENTS__SCHEMAS_DIR", str(SCHEMAS))


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ("a=2", {"a": 2}),
        ("a=two words = text", {"a": "two words = text"}),
        ('a="2"', {"a": "2"}),
        ("a=", {"a": ""}),
        ("who.name=null", {"who": {"name": None}}),
        ("who.name=9.00", {"who": {"name": "9.00"}}),
        ('who.name="9"', {"who": {"name": "9"}}),
        ("who.age=7", {"who": {"name": "Ada", "age": 7}}),
        ("new.deep.er={}", {"new": {"deep": {"er": {}}}}),
        ("lines.1.sku=z", {"lines": [{"sku": "x"}, {"sku": "z"}]}),
        ('lines.2={"sku":"w"}', {"lines": [{"sku": "x"}, {"sku": "y"}, {"sku": "w"}]}),
    ],
)
def test_a_value_by_its_path(change: str, changed: dict[str, object]) -> None:
    """JSON where it is JSON, else text, and text stays text; the sample stays as it was."""
    before = json.dumps(DATA)
    assert overridden(DATA, [change]) == {**DATA, **changed}
    assert json.dumps(DATA) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("a", "is not PATH=VALUE"),
        ("=1", "is not PATH=VALUE"),
        ("lines.9.sku=1", "'9' is no place in a list of 2"),
        ("lines.2.sku=1", "holds nothing"),
        ("lines.x=1", "'x' is no place in a list of 2"),
        ("a.b=1", "holds nothing"),
        ("none.b.c=1", "holds nothing"),
    ],
)
def test_a_path_that_leads_nowhere(change: str, said: str) -> None:
    """Is said with what was typed."""
    with pytest.raises(UsageError) as caught:
        overridden(DATA, [change])
    assert said in str(caught.value)


def test_print_only_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The event that would be published; no Kafka is asked for."""
    asked = ["trigger", "invoice.paid.v2", "--print", "-o", "json", "--key", "i-1"]
    assert run([*asked, "--set", "amount.value=9.00"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["topic"], shown["key"]) == ("billing.events", "i-1")
    assert shown["data"]["amount"] == {"value": "9.00", "currency": "EUR"}
    assert run(["trigger", "customer.created", "--print"]) == 0
    assert '"email": "ada@example.com"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (["invoice.paid"], 2, "did you mean invoice.paid.v2 or invoice.paid.v1?"),
        (["invoice.paid.v2", "--set", "amount=1"], 2, "does not fit invoice.paid.v2: $.amount: "),
        (["order.shipped", "--set", "total=much"], 2, "$.total: is not a decimal number as text"),
        (["invoice.paid.v2", "--data", "{"], 2, "--data is not JSON"),
        (["customer.created"], 2, "customer.created names no topic: say where to by --topic"),
    ],
)
def test_what_is_refused(
    typed: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before Kafka is asked, in a sentence."""
    assert run(["trigger", *typed]) == code
    assert said in capsys.readouterr().err


def test_unchecked_takes_anything(capsys: pytest.CaptureFixture[str]) -> None:
    """For who wants to see what a receiver makes of it."""
    assert run(["trigger", "invoice.paid.v2", "--data", "[1]", "--unchecked", "--print"]) == 0
    assert "[\n  1\n]" in capsys.readouterr().out
