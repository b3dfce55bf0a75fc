"""examples/outbox-kubernetes, for Kubernetes and for Hooklane itself."""

import re
from pathlib import Path

import pytest
import yaml

from hooklane.ops.outbox_run import connection_string
from hooklane.runtime.settings import load_settings
from tests.support.helm import Manifest, of_kind, pod_of
from tests.support.kubelet import environment, mount
from tests.support.kubernetes_schemas import faults
from tests.support.pod_security import violations

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "outbox-kubernetes"
MANIFESTS: list[Manifest] = list(yaml.safe_load_all((FOLDER / "relay.yaml").read_text()))
SECRETS = {"orders-outbox": {"dsn": "postgresql://relay:canary@db/orders\n"}}


def pod() -> Manifest:
    found = pod_of(of_kind(MANIFESTS, "Deployment")["orders-outbox"])
    assert found is not None
    return found


@pytest.mark.parametrize("version", ["1.29", "1.33", "1.37"])
def test_kubernetes_takes_it(version: str) -> None:
    """Without an unknown field, and under the restricted standard; the budget finds the pods."""
    assert [fault for one in MANIFESTS for fault in faults(one, version)] == []
    assert list(violations(pod())) == []
    template = of_kind(MANIFESTS, "Deployment")["orders-outbox"]["spec"]["template"]
    budget = of_kind(MANIFESTS, "PodDisruptionBudget")["orders-outbox"]
    wanted = budget["spec"]["selector"]["matchLabels"].items()
    assert wanted <= template["metadata"]["labels"].items()


def test_the_relay_takes_its_environment(tmp_path: Path) -> None:
    """The connection string is of the Secret, the port of the probes, the grace that of a drain."""
    mount(pod(), tmp_path, SECRETS, {})
    settings = load_settings(None, environment(pod(), "orders-outbox-0", tmp_path, SECRETS))
    assert connection_string(settings.outbox) == "postgresql://relay:canary@db/orders"
    [container] = pod()["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": settings.http.port}]
    session_s = settings.kafka.session_timeout.seconds
    drain_s = settings.outbox.shutdown_grace.seconds
    assert pod()["terminationGracePeriodSeconds"] >= drain_s + session_s * 2 / 3 + 10


def test_the_image_has_the_psycopg_that_is_tested() -> None:
    """Beside the user that is nobody in particular."""
    lines = (FOLDER / "Dockerfile").read_text()
    pins = (FOLDER.parents[1] / "requirements" / "test.txt").read_text()
    [version] = re.findall(r"^psycopg==(.+)$", pins, re.MULTILINE)
    assert f"'psycopg[binary]=={version}'" in lines
    assert lines.rstrip().endswith("USER 10001:10001")
