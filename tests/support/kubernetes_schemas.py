"""Manifests against what Kubernetes and the operators take."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
from referencing import Registry, Resource

from tests.support.helm import Manifest
from tests.support.operator_schemas import OPERATORS


def faults(manifest: Manifest, version: str) -> list[str]:
    """What this version of Kubernetes refuses, unknown fields too; empty if nothing."""
    validator = _validator(manifest["apiVersion"], manifest["kind"], version)
    found = validator.iter_errors(manifest)
    return [f"{error.json_path}: {error.message}" for error in found]


@cache
def _validator(api_version: str, kind: str, version: str) -> Any:
    operator = OPERATORS.get((api_version, kind))
    if operator is not None:
        return jsonschema.Draft202012Validator(operator)
    group = api_version.replace("/", "-") if "." not in api_version else _short(api_version)
    schema = _read(version, f"{kind.lower()}-{group}.json")
    registry = _definitions(version)
    return jsonschema.Draft202012Validator(
        schema, registry=Resource.from_contents(schema) @ registry
    )


def _short(api_version: str) -> str:
    """`networking.k8s.io/v1` is `networking-v1` in the names of the files."""
    group, _, version = api_version.partition("/")
    return f"{group.partition('.')[0]}-{version}"


@cache
def _definitions(version: str) -> Any:
    return Resource.from_contents(_read(version, "_definitions.json")) @ Registry()


def _read(version: str, name: str) -> Mapping[str, Any]:
    folder = files("kubernetes_validate") / "kubernetes-json-schema"
    text = (folder / f"v{version}.0-local-strict" / name).read_text()
    schema: dict[str, Any] = json.loads(text)
    return schema
