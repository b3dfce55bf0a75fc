"""What the chart renders, run as the kubelet would run it, against a real Kafka."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.kafka.broker import Kafka, free_ports
from tests.kafka.records import Outgoing, create_topic, produce
from tests.support.helm import LEAST, NAMESPACE, Helm, Manifest, of_kind, over, pod_of
from tests.support.kubelet import environment, mount, script
from tests.support.processes import ServiceProcess
from tests.support.site import SECRET
from tests.support.webhook_sink import WebhookSink

SECRETS = {"subscribers": {"billing": SECRET}, "test-signing": {"secret": SECRET}}
_BIN = str(Path(sys.executable).parent)


class Cluster:
    """One release of the chart on this machine: its pods are processes."""

    def __init__(self, helm: Helm, values: Mapping[str, Any], root: Path) -> None:
        self._manifests = helm.rendered(values)
        self._root = root
        self._config_maps = {
            name: one["data"] for name, one in of_kind(self._manifests, "ConfigMap").items()
        }

    def environment(self, kind: str, component: str) -> dict[str, str]:
        """What the kubelet would give to the component's container."""
        pod = self._pod(kind, component)
        root = self._root / component
        mount(pod, root, SECRETS, self._config_maps)
        told = environment(pod, f"rel-hooklane-{component}-0", root, SECRETS)
        path = f"{_BIN}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(root), **told}

    def service(self, component: str) -> ServiceProcess:
        return ServiceProcess(component, self.environment("StatefulSet", component))

    def run(self, kind: str, component: str, **replaced: str) -> str:
        """A job, or the test, to its end, which must be good; gives its output.

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
        return done.stdout

    def _pod(self, kind: str, component: str) -> Manifest:
        found = pod_of(of_kind(self._manifests, kind)[f"rel-hooklane-{component}"])
        assert found is not None
        return found


def test_the_pods_of_the_chart_deliver(
    helm: Helm, kafka: Kafka, prefix: str, tmp_path: Path, sink: WebhookSink
) -> None:
    """Jobs make topics and apply subscriptions, and delete the one that is in no document; both
    services deliver by them, and `helm test` sees its own signed event come back."""
    events = create_topic(kafka, f"{prefix}-events", 4)
    receiver, *ports = free_ports(3)
    values = over(LEAST, values_for(kafka, prefix, events, ports))
    values["test"]["url"] = f"http://127.0.0.1:{receiver}/"
    documents = [
        {
            "id": name,
            "url": sink.url(name),
            "match": {"types": ["order.paid"]},
            "signing": {"secrets": ["env:HOOKLANE_SECRET_BILLING"]},
        }
        for name in ("billing", "shipping")
    ]
    release = over(values, {"subscriptions": {"documents": documents, "prune": True}})
    cluster = Cluster(helm, release, tmp_path)
    assert f"{prefix}.backlog" in cluster.run("Job", "topics")
    gone = b'{"id": "gone", "url": "https://gone.example/"}'
    produce(kafka, f"{prefix}.subscriptions", [Outgoing(b"gone", gone)])
    with cluster.service("fanout") as fanout, cluster.service("retrier") as retrier:
        applied = cluster.run("Job", "subscriptions")
        assert "+id: billing" in applied
        assert applied.endswith("billing created\nshipping created\ngone deleted\n")
        fanout.wait_ready()
        retrier.wait_ready()
        headers = (("event-type", b"order.paid"),)
        produce(kafka, events, [Outgoing(b"c-1", b'{"amount": 1}', headers=headers)])
        sink.wait_for(lambda: len(sink.hits) == 2)
        hit = sink.of("billing")[0]
        assert Webhook(SECRET).verify(hit.body, hit.headers) == {"amount": 1}
        names = {
            f"rel-hooklane-{one}.{NAMESPACE}.svc": "127.0.0.1" for one in ("fanout", "retrier")
        }
        said = cluster.run("Pod", "test", **names, **{"--port 8090": f"--port {receiver}"})
        assert "fanout: 1 ready\nretrier: 1 ready\n" in said
        assert "A signed event came back." in said
        assert [one.terminate() for one in (fanout, retrier)] == [0, 0]


def values_for(kafka: Kafka, prefix: str, events: str, ports: list[int]) -> dict[str, Any]:
    """Settings that fit many installations on one broker and on one machine."""
    return {
        "settings": {
            "kafka": {"bootstrap_servers": kafka.bootstrap_servers},
            "topics": {"prefix": prefix, "partitions": 4},
            "fanout": {"topics": [events], "group_id": f"{prefix}-fanout"},
            "retrier": {"group_id": f"{prefix}-retrier"},
            "delivery": {"allow_http": True, "allow_networks": ["127.0.0.0/8"]},
            "http": {"host": "127.0.0.1"},
        },
        "fanout": {"settings": {"http": {"port": ports[0]}}},
        "retrier": {"settings": {"http": {"port": ports[1]}}},
        "secrets": {
            "env": [
                {
                    "name": "HOOKLANE_SECRET_BILLING",
                    "existingSecret": "subscribers",
                    "key": "billing",
                }
            ]
        },
        "test": {"topic": events, "signing": {"existingSecret": "test-signing"}},
    }
