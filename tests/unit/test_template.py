"""Payload templates: what they can say, and that none of them can hold anything up."""

import gc
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hooklane.delivery.payload import templated, templated_by
from hooklane.schemas import template_liquid as language
from hooklane.schemas.event import Event
from hooklane.schemas.subscription import validate
from hooklane.schemas.subscription_parts import LONGEST_TEMPLATE
from hooklane.schemas.subscription_parts import Payload as PayloadPart
from hooklane.schemas.subscription_values import ServicePolicy
from hooklane.schemas.template import LARGEST_OUTPUT, TemplateError, read_template
from hooklane.schemas.template_liquid import LiquidTemplate

DATA = {
    "id": 7,
    "who": 'A "quoted" <b>\n',
    "amount": 12.5,
    "lines": [{"sku": "a", "n": 2}, {"sku": "b", "n": 1}],
    "big": "x" * 300_000,
    "many": [1] * 1000,
}
VARIABLES = {"data": DATA, "event": {"type": "order.paid", "id": "e1"}}


def rendered(source: str) -> str:
    return LiquidTemplate(source).render(VARIABLES)


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("plain", "plain"),
        ("{{ event.type }} {{ data.id }}", "order.paid 7"),
        ('{"text": {{ data.who | json }}}', '{"text": "A \\"quoted\\" <b>\\n"}'),
        ('{{ "Order " | append: data.id | json }}', '"Order 7"'),
        (
            "{% for l in data.lines %}{{ l.n }}{% if forloop.last %}.{% endif %}{% endfor %}",
            "21.",
        ),
        ('{{ data.lines | map: "sku" | join: ", " }}', "a, b"),
        ("{% assign n = data.id | times: 2 %}{{ n }}", "14"),
        ("{% if data.amount > 10 and data.id == 7 %}yes{% else %}no{% endif %}", "yes"),
        ('{{ data.missing | default: "none" }}', "none"),
        ("{% if data.missing %}yes{% else %}no{% endif %}", "no"),
        ("{{ data.lines | json }}", '[{"sku":"a","n":2},{"sku":"b","n":1}]'),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
    ],
)
def test_what_a_template_says(source: str, output: str) -> None:
    """Variables, loops, conditions and filters, as Liquid has them; `json` quotes by itself."""
    assert rendered(source) == output


@given(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_json_filter_makes_json_of_anything(text: str, tree: object) -> None:
    """Whatever stands in an event, it is one JSON value in the output."""
    source = '{"a": {{ data.a | json }}, "b": {{ data.b | json }}}'
    output = read_template(source).render({"data": {"a": text, "b": tree}})
    assert json.loads(output) == {"a": text, "b": tree}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ data.id", "expected"),
        ("{% if %}", "missing expression"),
        ("{% for one in data.lines %}", "expected"),
        ("{{ data.id | nothing }}", "there is no filter nothing"),
        ("{{ data.id if data.x else 1 || nothing }}", "there is no filter nothing"),
        ('{{ "now" | date: "%Y" }}', "there is no filter date"),
        ('{% include "x" %}', "unexpected tag 'include'"),
        ('{% render "x" %}', "unexpected tag 'render'"),
        ("{% for i in (1..1000000000) %}{% endfor %}", "a range such as"),
        ("{{ (1..1000000000) | join }}", "a range such as"),
        ("{% if true %}" * 40 + "{% endif %}" * 40, "nesting limit"),
    ],
)
def test_what_cannot_be_read(source: str, words: str) -> None:
    """It is said when the document is judged, in one sentence."""
    with pytest.raises(TemplateError, match=words) as refused:
        LiquidTemplate(source)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("a\nb {{ data.missing }}", "data.missing is undefined, on line 2"),
        ("{{ data.missing.deeper | json }}", "data.missing is undefined"),
        ("{{ data.missing | json }}", "data.missing is undefined"),
        ("{{ 1 | divided_by: 0 }}", "divided_by: can't divide by 0"),
        ("{{ data.__class__ }}", "data.__class__ is undefined"),
        ("{{ data.who.__class__.__mro__ }}", "is undefined"),
        ("{{ data.items }}", "data.items is undefined"),
    ],
)
def test_what_fails_for_an_event(source: str, words: str) -> None:
    """What the event has not is no empty text, and Python's objects are out of reach."""
    with pytest.raises(TemplateError, match=words):
        rendered(source)


EXPENSIVE = {
    "output": "{{ data.big }}" * 2,
    "replace": '{{ data.big | replace: "", data.big }}',
    "join": "{{ data.many | join: data.big }}",
    "doubled text": '{% assign a = "x" %}' + "{% assign a = a | append: a %}" * 60,
    "doubled text at once": '{% assign a = "x" %}'
    + "{% assign a = a | append: a | append: a %}" * 60,
    "squared number": "{% assign a = 9 %}" + "{% assign a = a | times: a %}" * 60,
    "captured": "{% capture a %}{{ data.big }}{{ data.big }}{% endcapture %}",
    "lists": "{% assign a = data.many %}" + "{% assign a = a | concat: a %}" * 60,
    "loops": "{% for a in data.many %}{% for b in data.many %}{% if true %}{% endif %}"
    "{% endfor %}{% endfor %}",
    "filters": "{% for a in data.many %}{% assign b = data.big | upcase | downcase | strip "
    "| capitalize | escape | url_encode | size %}{% endfor %}",
    "searches": "{% for a in data.many %}"
    + '{% if data.big contains "xy" %}{% endif %}' * 20
    + "{% endfor %}",
    "JSON": "{% for a in data.many %}{% assign b = data.big | json | json | size %}{% endfor %}",
}


@pytest.fixture
def uncollected() -> Iterator[None]:
    """The time of the test process' own garbage collections is nobody's fault."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("name", EXPENSIVE)
def test_what_costs_too_much(name: str) -> None:
    """However it is tried, a template ends by its own limits, long before it hurts."""
    template = LiquidTemplate(EXPENSIVE[name])
    begun = time.thread_time()
    with pytest.raises(TemplateError, match=r"limit|too large|takes more than|would run more"):
        template.render(VARIABLES)
    assert time.thread_time() - begun < 5 * language.CPU_S


def test_time_that_something_else_took_is_not_the_templates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A garbage collection in the midst of it: it is rendered once more."""
    moments = iter((0.0, 1.0))
    monkeypatch.setattr(language, "thread_time", lambda: next(moments, 1.0))
    assert rendered("{{ data.id }}") == "7"


@pytest.mark.usefixtures("uncollected")
def test_largest_template_is_read_in_time() -> None:
    """Reading one takes longer than running it, and is bounded by its length."""
    begun = time.thread_time()
    LiquidTemplate(("{{ data.id " + "| plus: 1 " * 100 + "}}") * (LONGEST_TEMPLATE // 1013))
    LiquidTemplate("{{1}}" * (LONGEST_TEMPLATE // 5))
    assert time.thread_time() - begun < 2.0


def test_output_at_its_limit() -> None:
    """The limit is in bytes of the request's body."""
    half = "é" * (LARGEST_OUTPUT // 2)
    assert LiquidTemplate("{{ data }}").render({"data": half}) == half
    with pytest.raises(TemplateError, match="output stream limit"):
        LiquidTemplate("{{ data }}").render({"data": half + "x"})


def test_read_once() -> None:
    """The same source is the same template, so that an attempt reads none."""
    assert read_template("{{ data }}") is read_template("{{ data }}")


def event(data: bytes, content_type: str = "application/json") -> Event:
    core = {"specversion": "1.0", "id": "e1", "source": "/s", "type": "order.paid"}
    return Event("orders", "T", 0, 4, 0, b"k", core, content_type, data)


def payload(template: str, content_type: str | None = None) -> PayloadPart:
    return PayloadPart.model_validate_json(
        json.dumps({"mode": "template", "template": template, "content_type": content_type})
    )


def made(template: str, of: Event, content_type: str | None = None) -> tuple[str, bytes]:
    by = templated_by(payload(template, content_type))
    assert by is not None
    found = templated(of, by)
    return found.content_type, found.body


def test_body_of_an_event() -> None:
    """JSON unless the document says otherwise, in UTF-8, from data and attributes."""
    of = event('{"n": "ü"}'.encode())
    source = '{"text": {{ data.n | append: event.type | append: event.partitionkey | json }}}'
    assert made(source, of) == ("application/json", '{"text": "üorder.paidk"}'.encode())
    assert made("n is {{ data.n }}", of, "text/plain; charset=utf-8") == (
        "text/plain; charset=utf-8",
        "n is ü".encode(),
    )


def test_data_that_is_not_json() -> None:
    """Text is text; other bytes are not there."""
    assert made("{{ data }}", event(b"hello", "text/plain"), "text/plain")[1] == b"hello"
    assert made("{{ data | json }}", event(b'say "hi"', "text/plain"))[1] == b'"say \\"hi\\""'
    with pytest.raises(TemplateError, match="'data' is undefined"):
        made("{{ data }}", event(b"\xff\xfe"), "text/plain")


@pytest.mark.parametrize("content_type", [None, "application/json", "application/x+json; a=b"])
def test_json_that_is_none(content_type: str | None) -> None:
    """A quote that was forgotten is found before the receiver finds it."""
    with pytest.raises(TemplateError, match="its output is not JSON"):
        made('{"text": "{{ data.n }}"}', event(b'{"n": "say \\"hi\\""}'), content_type)


def test_the_example_for_slack() -> None:
    """The document of docs/subscriptions.md makes the `{"text": ...}` that Slack's incoming
    webhooks take, for an event with a customer and for one without."""
    page = (Path(__file__).parents[2] / "docs" / "subscriptions.md").read_text()
    (example,) = re.findall(r"(?ms)^```yaml\n(id: orders-to-slack\n.*?)^```$", page)
    document = validate(yaml.safe_load(example), ServicePolicy())
    by = templated_by(document.payload)
    assert by is not None
    said = []
    for data in (b'{"id": 7, "customer": {"name": "Jo \\"J\\" Doe"}}', b'{"id": 8}'):
        body = json.loads(templated(event(data), by).body)
        assert body.keys() == {"text"}
        said.append(body["text"])
    assert said == ['Order 7 was paid by Jo "J" Doe', "Order 8 was paid by somebody"]
