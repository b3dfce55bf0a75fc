"""What the chart makes for operators, by structure: which fields there are, of which kind.

Written after the operators' documented fields; only those that the chart may set.
"""

from collections.abc import Mapping
from typing import Any

TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1}
TEXTS: Mapping[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}
DURATION: Mapping[str, Any] = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w|y))+$"}
WHOLE: Mapping[str, Any] = {"type": "integer", "minimum": 0}


def record(required: list[str], **fields: object) -> Mapping[str, Any]:
    """A map with these fields and no other."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": fields,
    }


def many(item: object) -> Mapping[str, Any]:
    return {"type": "array", "minItems": 1, "items": item}


def manifest(api_version: str, kind: str, spec: object) -> Mapping[str, Any]:
    metadata = record(["name"], name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS)
    return record(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": api_version},
        kind={"const": kind},
        metadata=metadata,
        spec=spec,
    )


_SELECTOR = record([], matchLabels=TEXTS, matchExpressions={"type": "array"})
_ENDPOINT = record(
    ["port"],
    port=TEXT,
    path=TEXT,
    interval=DURATION,
    scrapeTimeout=DURATION,
    relabelings={"type": "array", "items": {"type": "object"}},
    metricRelabelings={"type": "array", "items": {"type": "object"}},
)
_RULE = {
    **record(
        ["expr"],
        alert=TEXT,
        record=TEXT,
        expr={"type": ["string", "integer"]},
        **{"for": DURATION},
        keep_firing_for=DURATION,
        labels=TEXTS,
        annotations=TEXTS,
    ),
    "oneOf": [{"required": ["alert"]}, {"required": ["record"]}],
}
_GROUP = record(["name", "rules"], name=TEXT, interval=DURATION, limit=WHOLE, rules=many(_RULE))
_TRIGGER = record(
    ["type", "metadata"],
    type=TEXT,
    name=TEXT,
    # KEDA takes texts only: a number or true is refused.
    metadata=TEXTS,
    authenticationRef=record(["name"], name=TEXT, kind=TEXT),
    metricType={"enum": ["AverageValue", "Value", "Utilization"]},
)
_SCALED = record(
    ["scaleTargetRef", "triggers"],
    scaleTargetRef=record(["name"], apiVersion=TEXT, kind=TEXT, name=TEXT),
    pollingInterval=WHOLE,
    cooldownPeriod=WHOLE,
    minReplicaCount=WHOLE,
    maxReplicaCount=WHOLE,
    advanced=record([], horizontalPodAutoscalerConfig=record([], behavior={"type": "object"})),
    triggers=many(_TRIGGER),
)
_SECRET = record(["parameter", "name", "key"], parameter=TEXT, name=TEXT, key=TEXT)

_MONITORING = "monitoring.coreos.com/v1"
_KEDA = "keda.sh/v1alpha1"
_SPECS: Mapping[tuple[str, str], object] = {
    (_MONITORING, "ServiceMonitor"): record(
        ["selector", "endpoints"], selector=_SELECTOR, endpoints=many(_ENDPOINT)
    ),
    (_MONITORING, "PodMonitor"): record(
        ["selector", "podMetricsEndpoints"],
        selector=_SELECTOR,
        podMetricsEndpoints=many(_ENDPOINT),
    ),
    (_MONITORING, "PrometheusRule"): record(["groups"], groups=many(_GROUP)),
    (_KEDA, "ScaledObject"): _SCALED,
    (_KEDA, "TriggerAuthentication"): record(["secretTargetRef"], secretTargetRef=many(_SECRET)),
}

OPERATORS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    (api_version, kind): manifest(api_version, kind, spec)
    for (api_version, kind), spec in _SPECS.items()
}
"""A JSON Schema by apiVersion and kind."""
