"""The chart as Helm renders it."""

import copy
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "hooklane"
RELEASE = "rel"
NAMESPACE = "webhooks"

Manifest: TypeAlias = dict[str, Any]
Values: TypeAlias = Mapping[str, Any]

LEAST: Values = {
    "settings": {
        "kafka": {"bootstrap_servers": "kafka-0.kafka:9092, kafka-1.kafka:9092"},
        "fanout": {"topics": ["orders.events", "^billing[.].*$"]},
    }
}
"""What has to be said."""


class RefusedError(Exception):
    """Helm's words."""


class Helm:
    """One Helm for many charts and values; a chart does not change once it was rendered."""

    def __init__(self) -> None:
        # Several tests look at what the same values make.
        self._made: dict[str, dict[str, Any]] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.helm_worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def rendered(
        self, values: Values, chart: Path = CHART, release: str = RELEASE
    ) -> list[Manifest]:
        """Every manifest, hooks too.

        Raises:
            RefusedError: a value that is not taken, or one that is missing.
        """
        found = self.files(values, chart, release)
        texts = (text for name, text in found.items() if not name.endswith("NOTES.txt"))
        loaded = (one for text in texts for one in yaml.load_all(text, yaml.CSafeLoader))
        return [one for one in loaded if one is not None]

    def files(
        self, values: Values, chart: Path = CHART, release: str = RELEASE
    ) -> Mapping[str, str]:
        """What each template makes, by its path."""
        done = self._ask(
            do="render", chart=str(chart), values=values, name=release, namespace=NAMESPACE
        )
        files: dict[str, str] = done["files"]
        return files

    def lint(self, values: Values) -> Mapping[str, Any]:
        return self._ask(do="lint", chart=str(CHART), values=values)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def _ask(self, **request: object) -> dict[str, Any]:
        line = json.dumps(request)
        if line not in self._made:
            self._made[line] = self._asked(line)
        done = self._made[line]
        if "error" in done:
            raise RefusedError(done["error"])
        return done

    def _asked(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        done: dict[str, Any] = json.loads(self._process.stdout.readline())
        return done


@contextmanager
def helm_running() -> Iterator[Helm]:
    helm = Helm()
    try:
        yield helm
    finally:
        helm.close()


def over(base: Values, more: Values) -> dict[str, Any]:
    """`more` over `base`, at every depth, as Helm puts one file of values over another."""
    found = dict(copy.deepcopy(base))
    for name, value in more.items():
        below = found.get(name)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        found[name] = over(below, value) if both else copy.deepcopy(value)  # type: ignore[arg-type]
    return found


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Those of a kind, by name."""
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def pod_of(manifest: Manifest) -> Manifest | None:
    """The pod's spec of what runs pods, else None."""
    match manifest["kind"]:
        case "Pod":
            found: Manifest = manifest["spec"]
        case "StatefulSet" | "Deployment" | "Job":
            found = manifest["spec"]["template"]["spec"]
        case _:
            return None
    return found
