"""PromQL against metrics that are exported: are they there, with these labels, and counters?

    exported = all_metrics()
    faults("sum by (topic) (hooklane_lag_events) > 10", exported)      # []
    labels_of(promql_parser.parse("..."), exported)

promql-parser reads the expression, and knows which function takes what. What it cannot know is
here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import promql_parser as promql
from prometheus_client.parser import text_string_to_metric_families

from hooklane.runtime.metrics import Metrics, Service

TARGET: Final = frozenset({"job", "instance"})
"""Labels that Prometheus gives to whatever it scrapes."""

_RISING: Final = frozenset({"rate", "increase", "irate"})
_CLOSED: Final = frozenset({"outcome", "service"})
"""Labels of which every value shows from the start."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is exported under one name. `values`: of each label."""

    rises: bool
    values: Mapping[str, frozenset[str]]

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(self.values)


@dataclass(frozen=True, slots=True)
class Exported:
    """Samples by their names, such as `hooklane_delivery_latency_seconds_bucket`."""

    samples: Mapping[str, Sample]

    @classmethod
    def read(cls, *texts: str) -> "Exported":
        """From pages of `/metrics`, one or more processes'."""
        rises: dict[str, bool] = {}
        values: dict[str, dict[str, set[str]]] = {}
        for text in texts:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    rises[sample.name] = family.type in {"counter", "histogram"}
                    known = values.setdefault(sample.name, {})
                    for label, value in sample.labels.items():
                        known.setdefault(label, set()).add(value)
        return cls(
            {
                name: Sample(rises[name], {k: frozenset(v) for k, v in values[name].items()})
                for name in rises
            }
        )

    def labels(self) -> dict[str, frozenset[str]]:
        """The label names of each sample."""
        return {name: sample.labels for name, sample in self.samples.items()}


def all_metrics() -> Exported:
    """Both services', with a partition each. `integration/test_watched.py` proves that this is what
    they export."""
    texts = []
    for service in Service:
        metrics = Metrics(service)
        metrics.window("orders", 0)
        metrics.lag("orders", 0)
        texts.append(metrics.exposition("")[0].decode())
    return Exported.read(*texts)


def faults(text: str, exported: Exported) -> list[str]:
    """What is wrong with an expression; empty if nothing is."""
    try:
        expr = promql.parse(text)
    except ValueError as error:
        return [str(error)]
    return list(_faults(expr, exported, rising=False))


def labels_of(expr: Any, exported: Exported) -> frozenset[str]:
    """The labels that its result has, those of the target included."""
    expr = _inside(expr)
    match expr:
        case promql.VectorSelector():
            return _known(expr, exported).labels | TARGET
        case promql.Call():
            return _labels_of_call(expr, exported)
        case promql.AggregateExpr():
            return _labels_of_aggregate(expr, exported)
        case promql.BinaryExpr():
            return _labels_of_binary(expr, exported)
        case _:
            return frozenset()


def _inside(expr: Any) -> Any:
    """Without what is only around it."""
    while True:
        match expr:
            case promql.MatrixSelector():
                expr = expr.vector_selector
            case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
                expr = expr.expr
            case _:
                return expr


def _labels_of_call(call: Any, exported: Exported) -> frozenset[str]:
    inner = [labels_of(one, exported) for one in call.args if not _is_scalar(one)]
    if not inner or call.func.name in {"absent", "time", "vector"}:
        return frozenset()
    return inner[0] - {"le"} if call.func.name == "histogram_quantile" else inner[0]


def _labels_of_aggregate(expr: Any, exported: Exported) -> frozenset[str]:
    inner, modifier = labels_of(expr.expr, exported), expr.modifier
    if modifier is None:
        return inner if str(expr.op) in {"topk", "bottomk"} else frozenset()
    named = frozenset(modifier.labels)
    return named if modifier.type == promql.AggModifierType.By else inner - named


def _labels_of_binary(expr: Any, exported: Exported) -> frozenset[str]:
    if _is_scalar(expr.lhs):
        return labels_of(expr.rhs, exported)
    left = labels_of(expr.lhs, exported)
    if str(expr.op) == "or":
        return left & labels_of(expr.rhs, exported)
    return left


def _is_scalar(expr: Any) -> bool:
    expr = _inside(expr)
    if isinstance(expr, promql.Call):
        return bool(expr.func.name == "time")
    return isinstance(expr, promql.NumberLiteral | promql.StringLiteral)


def _faults(expr: Any, exported: Exported, *, rising: bool) -> Iterator[str]:
    expr = _inside(expr)
    match expr:
        case promql.VectorSelector():
            yield from _faults_of_selector(expr, exported, rising=rising)
        case promql.Call():
            yield from _faults_of_call(expr, exported)
        case promql.AggregateExpr():
            yield from _faults(expr.expr, exported, rising=rising)
            unknown = _named(expr) - labels_of(expr.expr, exported)
            yield from (f"nothing in {expr.expr} has the label {one}" for one in sorted(unknown))
        case promql.BinaryExpr():
            for side in (expr.lhs, expr.rhs):
                yield from _faults(side, exported, rising=rising)
        case _:
            return


def _named(expr: Any) -> frozenset[str]:
    return frozenset() if expr.modifier is None else frozenset(expr.modifier.labels)


def _faults_of_call(call: Any, exported: Exported) -> Iterator[str]:
    name = call.func.name
    for one in call.args:
        yield from _faults(one, exported, rising=name in _RISING)
    if name == "histogram_quantile" and "le" not in labels_of(call.args[1], exported):
        yield f"{name} needs the label le, which {call.args[1]} has lost"


def _faults_of_selector(expr: Any, exported: Exported, *, rising: bool) -> Iterator[str]:
    sample = exported.samples.get(expr.name)
    if sample is None:
        yield f"{expr.name} is not exported"
        return
    if sample.rises and not rising:
        yield f"{expr.name} is a counter: its value says nothing without rate or increase"
    if rising and not sample.rises:
        yield f"{expr.name} is no counter: it has no rate"
    for matcher in expr.matchers.matchers:
        yield from _faults_of_matcher(expr.name, sample, matcher)


def _faults_of_matcher(name: str, sample: Sample, matcher: Any) -> Iterator[str]:
    if matcher.name not in sample.labels | TARGET:
        yield f"{name} has no label {matcher.name}"
    elif matcher.name in _CLOSED:
        by_pattern = matcher.op in (promql.MatchOp.Re, promql.MatchOp.NotRe)
        for one in matcher.value.split("|") if by_pattern else [re.escape(matcher.value)]:
            if not any(re.fullmatch(one, value) for value in sample.values[matcher.name]):
                yield f"{name} has no {matcher.name} that is {one}"


def _known(expr: Any, exported: Exported) -> Sample:
    return exported.samples.get(expr.name, Sample(rises=False, values={}))
