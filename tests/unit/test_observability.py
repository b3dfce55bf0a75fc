"""Alert rules, dashboard and the pages about them, against the metrics that the services export."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tests.support.alert_rules import Alert, faults_of_file, read_alerts
from tests.support.promql import TARGET, all_metrics, faults, labels_of

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "observability" / "prometheus" / "rules.yaml"
RULES_TEST = RULES.with_name("rules_test.yaml")
DASHBOARD = ROOT / "observability" / "grafana" / "hooklane.json"

EXPORTED = all_metrics()
ALERTS = read_alerts(RULES)
BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel, target) for panel in PANELS for target in panel["targets"]]

_VARIABLES = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*", "$subscription": ".*"}


@pytest.mark.parametrize(
    ("expr", "fault"),
    [
        ("sum by (topic) (hooklane_lag_events) > 10", None),
        ('rate(hooklane_events_total{outcome="matched"}[5m])', None),
        ("hooklane_lag_event > 10", "hooklane_lag_event is not exported"),
        ("hooklane_lag_events >", "invalid promql query"),
        ("rate(hooklane_events_total)", "expected type matrix"),
        ("sum by (queue) (hooklane_lag_events)", "has the label queue"),
        ("hooklane_lag_events{queue='1'}", "has no label queue"),
        ('rate(hooklane_events_total{outcome="lost"}[5m])', "no outcome that is lost"),
        ('rate(hooklane_events_total{outcome=~"matched|lost"}[5m])', "no outcome that is lost"),
        ("sum(hooklane_events_total)", "is a counter"),
        ("rate(hooklane_lag_events[5m])", "is no counter"),
        (
            "histogram_quantile(0.9, sum(rate(hooklane_delivery_latency_seconds_bucket[5m])))",
            "needs the label le",
        ),
    ],
)
def test_what_is_found_wrong(expr: str, fault: str | None) -> None:
    """The judge below knows what is wrong, or nothing would follow from its silence."""
    found = faults(expr, EXPORTED)
    assert found == [] if fault is None else fault in found[0]


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("{alert: A, expr: up, for: 5m}", None),
        ("{alert: A, expr: up, for: 5 minutes}", "not a valid duration"),
        ("{alert: A, expr: up, severity: high}", "a rule has no `severity`"),
        ("{alert: A, expr: up, labels: {a-b: c}}", "a-b is no name"),
        ("{alert: A, expr: up, labels: {a: 1}}", "a is no text"),
        ("{alert: A, expr: up, annotations: {a: '{{ $labels.b }'}}", "a is no template"),
        ("{alert: A, expr: up, annotations: {a: '{{ $value | human }}'}}", "a is no template"),
        ("{expr: up}", "an alert has a name"),
    ],
)
def test_which_rules_are_refused(tmp_path: Path, rule: str, fault: str | None) -> None:
    """As Prometheus would refuse them."""
    file = tmp_path / "rules.yaml"
    file.write_text(f"groups: [{{name: g, rules: [{rule}]}}]")
    found = faults_of_file(file)
    assert found == [] if fault is None else fault in found[0]


def test_the_rules_are_well_formed() -> None:
    """Keys, durations, labels and templates; each alert has a name of its own."""
    assert faults_of_file(RULES) == []
    assert len({one.name for one in ALERTS}) == len(ALERTS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: one.name)
def test_an_alert_asks_for_what_there_is(alert: Alert) -> None:
    """Its metrics are exported, with these labels; its texts name labels that its result has."""
    assert faults(alert.expr, EXPORTED) == []
    result = labels_of(promql_parser.parse(alert.expr), EXPORTED)
    assert alert.labels_used <= result
    assert {"severity", "summary", "description", "runbook_url"} <= set(alert.texts)


def test_every_alert_has_its_runbook() -> None:
    """A section of its own name, and no section without an alert."""
    page = (ROOT / "docs" / "runbooks.md").read_text()
    sections = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    assert sections == [one.name for one in ALERTS]
    for alert in ALERTS:
        assert alert.texts["runbook_url"] == f"docs/runbooks.md#{alert.name.lower()}"


def test_what_was_asked_for_has_an_alert() -> None:
    """No progress, oldest undelivered, dead letters, circuit open, lag, restore slow."""
    wanted = ("NoProgress", "OldestUndelivered", "DeadLetters", "CircuitOpen", "Lag", "RestoreSlow")
    assert {f"Hooklane{one}" for one in wanted} <= {one.name for one in ALERTS}


def test_promtools_tests_speak_of_what_there_is() -> None:
    """Their series are exported with these labels, their alerts are in the file."""
    document = yaml.safe_load(RULES_TEST.read_text())
    assert document["rule_files"] == [RULES.name]
    for case in document["tests"]:
        for one in case["input_series"]:
            selector: Any = promql_parser.parse(one["series"])
            named = {matcher.name for matcher in selector.matchers.matchers}
            assert named - TARGET == EXPORTED.samples[selector.name].labels, one["series"]
        names = {one["alertname"] for one in case["alert_rule_test"]}
        assert names <= {alert.name for alert in ALERTS}


def asked(expr: str) -> str:
    """An expression of the dashboard as Grafana sends it."""
    for variable, value in _VARIABLES.items():
        expr = expr.replace(variable, value)
    return expr


@pytest.mark.parametrize(
    ("panel", "target"),
    TARGETS,
    ids=[f"{panel['id']}-{target['refId']}" for panel, target in TARGETS],
)
def test_a_panel_asks_for_what_there_is(panel: dict[str, Any], target: dict[str, Any]) -> None:
    """Its metrics are exported, with these labels; its legend names labels that its result has."""
    expr = asked(target["expr"])
    assert faults(expr, EXPORTED) == []
    legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    assert legend <= labels_of(promql_parser.parse(expr), EXPORTED)
    assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_the_dashboard_can_be_imported() -> None:
    """Ids are unique, panels do not overlap, and each variable that is used is defined."""
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    for one, other in combinations(BOARD["panels"], 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])
    defined = {one["name"] for one in BOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text())) - {"__rate_interval", "__all"}
    assert used <= defined
    assert BOARD["uid"] == "hooklane"


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_the_variables_of_the_dashboard_are_found() -> None:
    """They are the values of labels that exist."""
    asked_for = [
        re.fullmatch(r"label_values\((.+), (\w+)\)", one["definition"])
        for one in BOARD["templating"]["list"]
        if one["type"] == "query"
    ]
    assert len(asked_for) == 3
    for found in asked_for:
        assert found is not None
        selector: Any = promql_parser.parse(asked(found[1]))
        assert found[2] in EXPORTED.samples[selector.name].labels | TARGET


def own_names() -> set[str]:
    """Hooklane's metrics by the names under which they are documented."""
    endings = re.compile(r"_(bucket|count|sum)$")
    return {endings.sub("", name) for name in EXPORTED.samples if name.startswith("hooklane_")}


def test_every_metric_is_on_the_dashboard() -> None:
    """What nobody looks at need not be exported."""
    shown = " ".join(target["expr"] for _, target in TARGETS)
    assert [
        name for name in sorted(own_names()) if not re.search(rf"{name}\b|{name}_", shown)
    ] == []


def documented() -> Iterator[tuple[str, set[str]]]:
    page = (ROOT / "docs" / "observability.md").read_text()
    section = page.split("\n## Metrics\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`hooklane_.+?) \| (.*?) ?\| .+ \|$", section, re.MULTILINE)
    for names, labels in rows:
        for name in re.findall(r"`(\w+)`", names):
            yield name, set(re.findall(r"`(\w+)`", labels))


def test_the_page_lists_every_metric_with_its_labels() -> None:
    """docs/observability.md: all that are exported, and no other."""
    listed = dict(documented())
    assert set(listed) == own_names()
    for name, labels in listed.items():
        sample = EXPORTED.samples.get(name) or EXPORTED.samples[f"{name}_bucket"]
        assert sample.labels == labels, name
