"""What the kubelet makes of a container: its environment, and the files of its volumes.

Only what the chart uses: values, fields, keys of Secrets; projected, secret, configMap and
emptyDir volumes. Paths that a mount covers are moved below `root`: the tests have no container.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from tests.support.helm import Manifest

Objects: TypeAlias = Mapping[str, Mapping[str, str]]
"""Secrets or ConfigMaps: what is in each, by name."""


def environment(pod: Manifest, name: str, root: Path, secrets: Objects) -> dict[str, str]:
    """What the pod's first container is told."""
    [container, *_] = pod["containers"]
    told = {one["name"]: _value(one, name, secrets) for one in container["env"]}
    return {key: _moved(value, container, root) for key, value in told.items()}


def script(pod: Manifest, root: Path) -> list[str]:
    """The first container's command, with paths below `root`."""
    [container, *_] = pod["containers"]
    return [_moved(word, container, root) for word in container["command"]]


def mount(pod: Manifest, root: Path, secrets: Objects, config_maps: Objects) -> None:
    """Write every mounted file below `root`; a missing Secret or key is a KeyError."""
    volumes = {one["name"]: one for one in pod["volumes"]}
    for one in pod["containers"][0]["volumeMounts"]:
        folder = root / one["mountPath"].lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        # A claim of a StatefulSet is not among the pod's volumes.
        for file, text in _files(volumes.get(one["name"], {}), secrets, config_maps).items():
            (folder / file).write_text(text)


def _files(volume: Mapping[str, Any], secrets: Objects, config_maps: Objects) -> dict[str, str]:
    if "projected" in volume:
        sources = [source["secret"] for source in volume["projected"]["sources"]]
        return {
            item["path"]: secrets[source["name"]][item["key"]]
            for source in sources
            for item in source["items"]
        }
    if "secret" in volume:
        held = secrets[volume["secret"]["secretName"]]
        return {item["path"]: held[item["key"]] for item in volume["secret"]["items"]}
    if "configMap" in volume:
        held = config_maps[volume["configMap"]["name"]]
        items = volume["configMap"].get("items")
        return dict(held) if items is None else {one["path"]: held[one["key"]] for one in items}
    return {}


def _value(entry: Mapping[str, Any], name: str, secrets: Objects) -> str:
    if "value" in entry:
        # `$(NAME)` is another variable's value, `$$(NAME)` is text; the chart uses the latter only.
        value: str = entry["value"]
        assert not re.search(r"(?<!\$)\$\(", value), value
        return value.replace("$$(", "$(")
    origin = entry["valueFrom"]
    if "fieldRef" in origin:
        assert origin["fieldRef"]["fieldPath"] == "metadata.name"
        return name
    reference = origin["secretKeyRef"]
    return secrets[reference["name"]][reference["key"]]


def _moved(text: str, container: Manifest, root: Path) -> str:
    for one in container["volumeMounts"]:
        path = one["mountPath"]
        text = re.sub(rf"(?<![\w/.]){re.escape(path)}(?=[/\s\"']|$)", f"{root}{path}", text)
    return text
