"""values.schema.json: every key of values.yaml, and nothing else.

What a key takes follows from its default, or stands in one of the tables below; the settings and
the subscription documents are what Hooklane itself takes.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from helm.documented import Key
from hooklane.ops.settings_doc import bare
from hooklane.runtime.kafka_properties import OWNED
from hooklane.runtime.settings import Settings
from hooklane.runtime.settings_sections import SECRET_WORDS
from hooklane.runtime.settings_source import sections
from hooklane.schemas.subscription import json_schema
from hooklane.schemas.topics import Delay

Schema: TypeAlias = dict[str, Any]

NOT_FROM_SETTINGS: Final = {
    "kafka": {"instance_id", "properties_dir"},
    "retrier": {"spool_dir"},
    "delivery": {"ca_file"},
    "console": {"token"},
    "schema_registry": {"password"},
    "secrets": {"dir", "encryption_keys", "encryption_keys_file"},
}
"""Settings that follow from other values, or that are secrets."""

_OBJECT: Final[Schema] = {"type": "object"}
_OBJECTS: Final[Schema] = {"type": "array", "items": _OBJECT}
_TEXTS: Final[Schema] = {"type": "array", "items": {"type": "string"}}
_WORDS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
_PORTS: Final[Schema] = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1, "maximum": 65535},
}
_PROBE: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        name: {"type": "integer", "minimum": 0}
        for name in (
            "initialDelaySeconds",
            "periodSeconds",
            "timeoutSeconds",
            "successThreshold",
            "failureThreshold",
        )
    },
}


def _from_secret(pattern: str) -> Schema:
    names = {"name": {"type": "string", "pattern": pattern}}
    keys = {name: {"type": "string", "minLength": 1} for name in ("existingSecret", "key")}
    return {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name", "existingSecret", "key"],
            "properties": names | keys,
        },
    }


_BY_NAME: Final[Mapping[str, Schema]] = {
    "accessModes": _TEXTS,
    "affinity": _OBJECT,
    "annotations": _WORDS,
    "behavior": _OBJECT,
    "commonLabels": _WORDS,
    "containerSecurityContext": _OBJECT,
    "dnsConfig": _OBJECT,
    "except": _TEXTS,
    "exceptV6": {"type": ["array", "null"], "items": {"type": "string"}},
    "kafka": {"$ref": "#/definitions/kafka"},
    "kind": {"enum": ["keda", "hpa"]},
    "labels": _WORDS,
    "liveness": _PROBE,
    "maxUnavailable": {"type": ["integer", "string"]},
    "mechanism": {"enum": ["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]},
    "nodeSelector": _WORDS,
    "pod": {"$ref": "#/definitions/pod"},
    "ports": _PORTS,
    "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "readiness": _PROBE,
    "resources": _OBJECT,
    "retention": {"enum": ["Delete", "Retain"]},
    "securityContext": _OBJECT,
    "settings": {"$ref": "#/definitions/settings"},
    "startup": _PROBE,
    "targetPort": {"type": ["string", "integer"]},
    "type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    "topics": _TEXTS,
    "topologySpreadConstraints": {"type": ["array", "null"], "items": _OBJECT},
}
_BY_PATH: Final[Mapping[str, Schema]] = {
    "image.digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "image.pullSecrets": {"type": "array", "items": {"type": ["string", "object"]}},
    "networkPolicy.dns.to": {"type": ["array", "null"], "items": _OBJECT},
    "fanout.autoscaling.hpa.targetCpuUtilization": {"type": ["integer", "null"], "minimum": 1},
    "secrets.env": _from_secret("^HOOKLANE_[A-Z0-9_]+$"),
    "secrets.files": _from_secret("^[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}$"),
    "subscriptions.documents": {
        "type": "array",
        "items": {"$ref": "#/definitions/subscription/Subscription"},
    },
}


def values_schema(keys: Iterable[Key]) -> Schema:
    """The whole schema, in JSON Schema's draft 7."""
    by_name = {key.path[0]: key for key in keys}
    whole = _map(by_name.values())
    settings = whole["properties"]["settings"] = dict(_BY_NAME["settings"])
    settings["description"] = by_name["settings"].text
    # What Helm itself gives a subchart.
    whole["properties"] |= {
        "global": {"type": ["object", "null"], "description": "Values of the parent chart."},
        "enabled": {"type": "boolean", "description": "The parent chart's condition."},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart hooklane",
        **whole,
        "definitions": {
            "kafka": _map(by_name["kafka"].children),
            "pod": _map(by_name["pod"].children),
            "settings": settings_schema(),
            "subscription": subscription_schemas(),
        },
    }


def _map(keys: Iterable[Key]) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {key.path[-1]: _of(key) for key in keys},
    }


def _of(key: Key) -> Schema:
    found = _map(key.children) if key.children else _leaf(key)
    return found | {"description": key.text} if key.text and "$ref" not in found else found


def _leaf(key: Key) -> Schema:
    special = _BY_PATH.get(key.name) or _BY_NAME.get(key.path[-1])
    if special is not None:
        return dict(special)
    match key.default:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer", "minimum": 0}
        case str():
            return {"type": "string"}
        case []:
            return dict(_OBJECTS)
        case _:
            raise TypeError(f"helm/schema.py does not know what {key.name} takes")


def settings_schema() -> Schema:
    """`section: {name: value}`; null takes Hooklane's default."""
    found = {
        section: {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {
                name: _setting(section, name, field)
                for name, field in model.model_fields.items()
                if name not in NOT_FROM_SETTINGS.get(section, ())
            },
        }
        for section, model in sections(Settings).items()
    }
    return {"type": "object", "additionalProperties": False, "properties": found}


def _setting(section: str, name: str, field: FieldInfo) -> Schema:
    librdkafka = (section, name) == ("kafka", "properties")
    found = _librdkafka() if librdkafka else _kind(field.annotation)
    if "type" in found:
        kinds = found["type"] if isinstance(found["type"], list) else [found["type"]]
        found["type"] = [*kinds, "null"]
    extra = field.json_schema_extra
    if isinstance(extra, dict) and extra.get("kind_text") == "size":
        found = {"type": ["integer", "string", "null"]}
    return found | {"description": field.description or ""}


def _librdkafka() -> Schema:
    """Properties without secrets: those are files of a Secret."""
    secrets = "|".join(word.replace(".", "[.]") for word in SECRET_WORDS)
    owned = "|".join(name.replace(".", "[.]") for name in OWNED)
    return {
        "type": "object",
        "propertyNames": {"not": {"pattern": f"({secrets})|^({owned})$"}},
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    }


def _kind(given: Any) -> Schema:
    annotation = bare(given)
    if get_origin(annotation) is tuple:
        return {"type": "array", "items": _kind(get_args(annotation)[0])}
    if get_origin(annotation) is dict:
        return {"type": "object"}
    if issubclass(annotation, Enum):
        return {"enum": [*(one.value for one in annotation), None]}
    return dict(_KINDS[annotation])


_KINDS: Final[Mapping[type, Schema]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    Path: {"type": "string"},
    Delay: {"type": "string", "pattern": "^[0-9]{1,9}(ms|s|m|h|d)$"},
    # A URL that may hold a password: one that does comes from a Secret (secrets.env).
    SecretStr: {"type": "string", "pattern": "^https?://[^@]*$"},
    IPv4Network: {"type": "string"},
}


def subscription_schemas() -> Schema:
    """The document's own schema, part by part, where this file has them."""
    whole = json_schema()
    parts: Schema = whole.pop("$defs")
    return {name: _moved(part) for name, part in {**parts, "Subscription": whole}.items()}


def _moved(part: Any) -> Any:
    """References lead to this file's definitions; what a form would show is left out."""
    match part:
        case dict():
            return {
                name: _moved(value)
                for name, value in part.items()
                if not (name in {"title", "default"} and not isinstance(value, dict))
            }
        case list():
            return [_moved(one) for one in part]
        case str() if part.startswith("#/$defs/"):
            return part.replace("#/$defs/", "#/definitions/subscription/")
        case _:
            return part
