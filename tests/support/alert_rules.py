"""A file of alert rules, read as Prometheus reads it: what it would refuse is told."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import promql_parser as promql
import yaml

_RULE_KEYS: Final = frozenset({"alert", "expr", "for", "keep_firing_for", "labels", "annotations"})
_GROUP_KEYS: Final = frozenset({"name", "interval", "limit", "rules"})
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ACTION: Final = re.compile(
    r"\{\{-? *(?:\$value|\$labels\.(?P<label>[a-zA-Z_][a-zA-Z0-9_]*))"
    r"(?: *\| *(?:humanize|humanize1024|humanizeDuration|humanizePercentage|humanizeTimestamp))?"
    r" *-?\}\}"
)


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule, as it stands in the file. `texts`: its templates, labels and annotations alike."""

    name: str
    expr: str
    texts: Mapping[str, str]

    @property
    def labels_used(self) -> frozenset[str]:
        """The labels of its result that its templates name."""
        found = (one["label"] for text in self.texts.values() for one in _ACTION.finditer(text))
        return frozenset(one for one in found if one is not None)


def read_alerts(path: Path) -> list[Alert]:
    """All of the file."""
    return [_alert(rule) for group in _groups(path) for rule in group["rules"]]


def _alert(rule: Mapping[str, Any]) -> Alert:
    texts = {**rule.get("labels", {}), **rule.get("annotations", {})}
    return Alert(rule["alert"], rule["expr"], texts)


def _groups(path: Path) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(path.read_text())["groups"]
    return groups


def faults_of_file(path: Path) -> list[str]:
    """What is wrong with its form; expressions apart."""
    document = yaml.safe_load(path.read_text())
    if not isinstance(document, dict) or set(document) != {"groups"}:
        return ["a file of rules has `groups`, and nothing else"]
    found = []
    names = [group.get("name") for group in document["groups"]]
    if len(names) != len(set(names)) or None in names:
        found.append("each group has a name of its own")
    for group in document["groups"]:
        found += [f"a group has no `{key}`" for key in sorted(set(group) - _GROUP_KEYS)]
        for rule in group["rules"]:
            found += [f"{rule.get('alert')}: {one}" for one in _faults_of_rule(rule)]
    return found


def _faults_of_rule(rule: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"a rule has no `{key}`" for key in sorted(set(rule) - _RULE_KEYS))
    if not _LABEL.fullmatch(str(rule.get("alert", ""))):
        yield "an alert has a name"
    if not isinstance(rule.get("expr"), str):
        yield "an alert has an expression"
    for key in ("for", "keep_firing_for"):
        if key in rule:
            yield from _faults_of_duration(key, rule[key])
    for part in ("labels", "annotations"):
        for name, text in rule.get(part, {}).items():
            if not _LABEL.fullmatch(name):
                yield f"{name} is no name of a label"
            if not isinstance(text, str):
                yield f"{name} is no text"
            elif re.search(r"\{\{|\}\}", _ACTION.sub("", text)):
                yield f"{name} is no template that is known here: {text}"


def _faults_of_duration(key: str, text: object) -> Iterator[str]:
    try:
        promql.parse_duration(str(text))
    except ValueError as error:
        yield f"`{key}`: {error}"
