"""A release of the chart on this machine: what it renders runs as processes."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.helm import Helm, Manifest, of_kind, pod_of
from tests.support.kubelet import Objects, environment, mount, script
from tests.support.processes import ServiceProcess

_BIN = str(Path(sys.executable).parent)


class ChartRelease:
    """`root`: where each pod has its files; `secrets`: those of the namespace."""

    def __init__(self, helm: Helm, values: Mapping[str, Any], root: Path, secrets: Objects) -> None:
        self._manifests = helm.rendered(values)
        self._root = root
        self._secrets = secrets
        self._config_maps = {
            name: one["data"] for name, one in of_kind(self._manifests, "ConfigMap").items()
        }

    def environment(self, kind: str, component: str) -> dict[str, str]:
        """What the kubelet would give to the component's container; its files are there."""
        pod = self._pod(kind, component)
        root = self._root / component
        mount(pod, root, self._secrets, self._config_maps)
        told = environment(pod, f"rel-hooklane-{component}-0", root, self._secrets)
        path = f"{_BIN}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(root), **told}

    def service(self, component: str) -> ServiceProcess:
        kind = "Deployment" if component == "console" else "StatefulSet"
        return ServiceProcess(component, self.environment(kind, component))

    def run(self, kind: str, component: str, **replaced: str) -> str:
        """A job, or the test, to its end, which must be good; gives all that it said.

        `replaced`: words of its command, since no cluster's DNS is here.
        """
        environ = self.environment(kind, component)
        command = script(self._pod(kind, component), self._root / component)
        for old, new in replaced.items():
            command = [word.replace(old, new) for word in command]
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def _pod(self, kind: str, component: str) -> Manifest:
        found = pod_of(of_kind(self._manifests, kind)[f"rel-hooklane-{component}"])
        assert found is not None
        return found
