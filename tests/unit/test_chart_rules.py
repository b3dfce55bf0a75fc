"""What the chart promises of its pods: who may reach what, how they come, go and grow."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.chart_values import DIGEST, MATRIX
from tests.support.helm import CHART, LEAST, Helm, Manifest, RefusedError, of_kind, over

FILES = Path(__file__).parent / "data" / "chart_files"


def stateful_set(helm: Helm, component: str, more: dict[str, Any]) -> Manifest:
    found = of_kind(helm.rendered(over(LEAST, more)), "StatefulSet")
    return found[f"rel-hooklane-{component}"]


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({}, 25 + 20 + 10),
        ({"fanout": {"shutdown_grace": "2m"}}, 120 + 20 + 10),
        ({"fanout": {"shutdown_grace": "1500ms"}, "kafka": {"session_timeout": "10s"}}, 2 + 7 + 10),
    ],
)
def test_the_kubelet_waits_for_the_drain(
    helm: Helm, settings: dict[str, Any], seconds: int
) -> None:
    """The grace period is the drain, a transaction (2/3 of the session timeout) and 10 s."""
    pod = stateful_set(helm, "fanout", {"settings": settings})["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == seconds


@pytest.mark.parametrize("component", ["fanout", "retrier"])
def test_probes_ask_what_they_mean(helm: Helm, component: str) -> None:
    """Alive is /healthz, which no broker's outage fails; ready is /readyz; a start has a minute."""
    [container] = stateful_set(helm, component, {})["spec"]["template"]["spec"]["containers"]
    probes = {kind: container[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")}
    asked = {kind: probe["httpGet"]["path"] for kind, probe in probes.items()}
    assert asked == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {"http"}
    assert [port["name"] for port in container["ports"]] == ["http"]
    assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] == 60


def test_pods_come_back_under_their_names(helm: Helm) -> None:
    """Static membership rests on the pod's name, and on a session longer than its replacement."""
    for component in ("fanout", "retrier"):
        spec = stateful_set(helm, component, {})["spec"]
        [container] = spec["template"]["spec"]["containers"]
        told = {one["name"]: one for one in container["env"]}
        field = told["HOOKLANE_KAFKA__INSTANCE_ID"]["valueFrom"]["fieldRef"]["fieldPath"]
        assert field == "metadata.name"
        assert told["HOOKLANE_KAFKA__SESSION_TIMEOUT"]["value"] == "30s"
        assert spec["updateStrategy"] == {"type": "RollingUpdate"}


def test_names_fit_however_long_the_release_s_is(helm: Helm) -> None:
    """Pods and revisions of a StatefulSet have its name in a label of 63 characters."""
    for one in helm.rendered(MATRIX["subscriptions"], release="r" * 53):
        room = 52 if one["kind"] == "StatefulSet" else 63
        assert len(one["metadata"]["name"]) <= room
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", one["metadata"]["name"])


def test_the_spool_is_a_claim_or_an_empty_folder(helm: Helm) -> None:
    """By choice; a claim's labels, which can never be changed, hold no version and no value."""
    spec = stateful_set(helm, "retrier", {"commonLabels": {"a": "b"}})["spec"]
    [claim] = spec["volumeClaimTemplates"]
    assert claim["metadata"]["labels"] == {
        "app.kubernetes.io/name": "hooklane",
        "app.kubernetes.io/instance": "rel",
    }
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenScaled"] == "Delete"
    spool = {"persistence": False, "size": "2Gi"}
    bare = stateful_set(helm, "retrier", {"retrier": {"spool": spool}})["spec"]
    assert "volumeClaimTemplates" not in bare
    volumes = {one["name"]: one for one in bare["template"]["spec"]["volumes"]}
    assert volumes["spool"] == {"name": "spool", "emptyDir": {"sizeLimit": "2Gi"}}
    assert "volumeClaimTemplates" not in stateful_set(helm, "fanout", {})["spec"]


@pytest.mark.parametrize("values", ["keda", "hpa"])
def test_what_scales_sets_the_number_alone(helm: Helm, values: str) -> None:
    """With autoscaling the manifest has no `replicas`, which an upgrade would set back."""
    manifests = helm.rendered(MATRIX[values])
    kind = {"keda": "ScaledObject", "hpa": "HorizontalPodAutoscaler"}[values]
    scaled = of_kind(manifests, kind)
    for name, one in of_kind(manifests, "StatefulSet").items():
        assert "replicas" not in one["spec"]
        target = scaled[name]["spec"]["scaleTargetRef"]
        assert target == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name}
    assert stateful_set(helm, "fanout", {"fanout": {"replicas": 5}})["spec"]["replicas"] == 5


def test_keda_looks_at_what_can_be_done_now(helm: Helm) -> None:
    """The fan-out's lag by topic, without partitions that stand still; the retrier's due tasks."""
    manifests = helm.rendered(MATRIX["keda"])
    scaled = of_kind(manifests, "ScaledObject")
    [trigger] = scaled["rel-hooklane-fanout"]["spec"]["triggers"]
    assert trigger["metadata"] == {
        "bootstrapServers": "kafka-0.kafka:9092, kafka-1.kafka:9092",
        "consumerGroup": "hooklane-fanout",
        "topic": "orders.events",
        "lagThreshold": "1000",
        "offsetResetPolicy": "earliest",
        "limitToPartitionsWithLag": "true",
        "excludePersistentLag": "true",
        "sasl": "scram_sha512",
        "tls": "enable",
    }
    reference = trigger["authenticationRef"]["name"]
    secrets = of_kind(manifests, "TriggerAuthentication")[reference]["spec"]["secretTargetRef"]
    assert {one["parameter"]: (one["name"], one["key"]) for one in secrets} == {
        "username": ("kafka-user", "user"),
        "password": ("kafka-user", "pass"),
        "ca": ("kafka-ca", "ca.crt"),
    }
    [due] = scaled["rel-hooklane-retrier"]["spec"]["triggers"]
    assert due["type"] == "prometheus"
    assert due["metadata"]["query"] == (
        'sum(hooklane_backlog_due_tasks{namespace="webhooks",pod=~"rel-hooklane-retrier-[0-9]+"})'
    )


def egress(policy: Manifest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = policy["spec"]["egress"]
    return found


def test_services_reach_dns_kafka_and_the_internet_only(helm: Helm) -> None:
    """The node-local resolver too; no private network, but what the address guard is told."""
    allowed = {"settings": {"delivery": {"allow_networks": ["10.7.0.0/16"]}}}
    policies = of_kind(helm.rendered(over(LEAST, allowed)), "NetworkPolicy")
    dns, kafka = egress(policies["rel-hooklane"])
    assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in dns["to"]
    assert {(one["port"], one["protocol"]) for one in dns["ports"]} >= {(53, "UDP"), (53, "TCP")}
    assert kafka == {"ports": [{"port": 9092, "protocol": "TCP"}]}
    [receivers] = egress(policies["rel-hooklane-deliveries"])
    blocks = {one["ipBlock"]["cidr"]: one["ipBlock"].get("except") for one in receivers["to"]}
    assert blocks.keys() == {"0.0.0.0/0", "::/0", "10.7.0.0/16"}
    private = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"}
    assert private <= set(blocks["0.0.0.0/0"])
    assert {"fc00::/7", "fe80::/10"} <= set(blocks["::/0"])
    services = policies["rel-hooklane-deliveries"]["spec"]["podSelector"]["matchExpressions"]
    assert services[0]["values"] == ["fanout", "retrier"]
    assert policies["rel-hooklane"]["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_the_console_is_reached_by_whom_it_is_said(helm: Helm) -> None:
    """Through the Service or the Ingress, and by the peers that the policy names; it reaches the
    services' metrics besides DNS and Kafka, and no receiver."""
    manifests = helm.rendered(MATRIX["console-behind-a-proxy"])
    [rule] = of_kind(manifests, "Ingress")["rel-hooklane-console"]["spec"]["rules"]
    [path] = rule["http"]["paths"]
    backend = path["backend"]["service"]
    service = of_kind(manifests, "Service")[backend["name"]]["spec"]
    [port] = service["ports"]
    assert (backend["port"]["name"], port["targetPort"], service["type"]) == (
        port["name"],
        4180,
        "NodePort",
    )
    policies = of_kind(manifests, "NetworkPolicy")
    spec = policies["rel-hooklane-console"]["spec"]
    assert spec["ingress"] == [
        {"ports": [{"port": 4180, "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]}
    ]
    [metrics] = spec["egress"]
    [pods] = metrics["to"]
    labels = stateful_set(helm, "fanout", {})["spec"]["template"]["metadata"]["labels"]
    assert pods["podSelector"]["matchLabels"].items() <= labels.items()
    deliveries = policies["rel-hooklane-deliveries"]["spec"]["podSelector"]["matchExpressions"]
    assert "console" not in deliveries[0]["values"]


def test_the_console_is_one_pod_with_its_own_probes(helm: Helm) -> None:
    """Alive is /healthz, ready /readyz; two would not know of each other's redrives."""
    deployment = of_kind(helm.rendered(MATRIX["console"]), "Deployment")["rel-hooklane-console"]
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]["type"]) == (
        1,
        "Recreate",
    )
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    asked = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    assert [one["path"] for one in asked] == ["/healthz", "/healthz", "/readyz"]
    assert {one["port"] for one in asked} == {container["ports"][0]["name"]} == {"console"}


LOOKUP = 'lookup "v1" "Secret" $.root.Release.Namespace .'


def checksum(helm: Helm, chart: Path, values: str, component: str, **versions: str) -> str | None:
    """The pod template's, where the cluster has these versions of Secrets."""
    found = {name: {"metadata": {"resourceVersion": one}} for name, one in versions.items()}
    more = {"global": {"found": {name.replace("_", "-"): one for name, one in found.items()}}}
    manifests = helm.rendered(over(MATRIX[values], more), chart)
    kind = "Deployment" if component == "console" else "StatefulSet"
    metadata = of_kind(manifests, kind)[f"rel-hooklane-{component}"]["spec"]["template"]["metadata"]
    text: str | None = metadata.get("annotations", {}).get("checksum/secrets")
    return text


def test_a_secret_that_was_changed_rolls_the_pods_that_start_with_it(
    helm: Helm, tmp_path: Path
) -> None:
    """The checksum of the versions of the Secrets that a pod only reads when it starts: another one
    for another version, for the pods that use it, and none where Helm asks no cluster. (Helm's own
    `lookup` is given a table here.)"""
    chart = tmp_path / "hooklane"
    shutil.copytree(CHART, chart)
    pod = chart / "templates" / "_pod.tpl"
    assert pod.read_text().count(LOOKUP) == 1
    table = "get ($.root.Values.global.found | default dict) ."
    pod.write_text(pod.read_text().replace(LOOKUP, table))
    assert checksum(helm, chart, "console", "fanout") is None
    first = checksum(helm, chart, "console", "fanout", kafka_user="1", kafka_ca="1")
    assert first is not None
    assert first == checksum(helm, chart, "console", "retrier", kafka_user="1", kafka_ca="1")
    assert first != checksum(helm, chart, "console", "fanout", kafka_user="2", kafka_ca="1")
    token = {"kafka_user": "1", "kafka_ca": "1", "console_token": "1"}
    assert first == checksum(helm, chart, "console", "fanout", **token)
    assert first != checksum(helm, chart, "console", "console", **token)
    assert checksum(helm, chart, "secrets", "fanout", subscribers="1") is not None
    # Files that are read again while the pods run.
    assert checksum(helm, chart, "secrets", "fanout", enc="1", receivers_ca="1") is None


def test_a_setting_that_was_changed_rolls_the_pods(helm: Helm) -> None:
    """Settings are in the pod template itself, so that no checksum has to stand for them."""
    templates = [
        stateful_set(helm, "retrier", {"settings": {"retrier": {"max_in_flight": most}}})["spec"][
            "template"
        ]
        for most in (64, 65)
    ]
    assert templates[0] != templates[1]


def test_the_topics_job_may_reach_kafka_before_anything_is_there(helm: Helm) -> None:
    """Its policy is a hook before it; it needs no account of the release."""
    manifests = helm.rendered(LEAST)
    job = of_kind(manifests, "Job")["rel-hooklane-topics"]
    policy = of_kind(manifests, "NetworkPolicy")["rel-hooklane-topics"]
    hooks = [one["metadata"]["annotations"] for one in (policy, job)]
    assert {one["helm.sh/hook"] for one in hooks} == {"pre-install,pre-upgrade"}
    assert int(hooks[0]["helm.sh/hook-weight"]) < int(hooks[1]["helm.sh/hook-weight"])
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "default"
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == [
        "hooklane",
        "topics",
        "apply",
    ]


def test_subscriptions_are_pruned_by_choice_only(helm: Helm) -> None:
    """The job shows the difference, then applies it; --prune is there where it is asked for."""
    [*_, script] = of_kind(helm.rendered(MATRIX["subscriptions"]), "Job")[
        "rel-hooklane-subscriptions"
    ]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert script.index("subscriptions diff") < script.index("subscriptions apply")
    assert script.count("--prune") == 2
    [*_, plain] = of_kind(helm.rendered(MATRIX["subscriptions-elsewhere"]), "Job")[
        "rel-hooklane-subscriptions"
    ]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert "--prune" not in plain
    assert "--yes" not in plain


def test_an_image_by_digest(helm: Helm) -> None:
    """The digest comes before the tag; both lists of pull secrets are there."""
    pod = of_kind(helm.rendered(MATRIX["scheduled"]), "StatefulSet")["rel-hooklane-retrier"][
        "spec"
    ]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"registry.example.com/hooklane@{DIGEST}"
    assert pod["imagePullSecrets"] == [{"name": "parent"}, {"name": "pull"}]
    assert pod["securityContext"]["runAsUser"] == 1000680000
    assert pod["containers"][0]["env"][-1] == {"name": "TZ", "value": "UTC"}


def test_pods_are_spread_unless_told_otherwise(helm: Helm) -> None:
    """Over zones and nodes where that is possible; a list replaces it, an empty one ends it."""
    spread = stateful_set(helm, "fanout", {})["spec"]["template"]["spec"][
        "topologySpreadConstraints"
    ]
    keys = [one["topologyKey"] for one in spread]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    none: dict[str, Any] = {"fanout": {"topologySpreadConstraints": []}}
    pod = stateful_set(helm, "fanout", none)["spec"]["template"]["spec"]
    assert "topologySpreadConstraints" not in pod


def test_a_service_s_values_go_over_the_common_ones(helm: Helm) -> None:
    """Also where they are false or empty, which Sprig's merge would pass over."""
    more = {
        "kafka": {"tls": {"enabled": True}},
        "retrier": {"kafka": {"tls": {"enabled": False}}, "pod": {"nodeSelector": {"a": "b"}}},
    }
    protocol = "HOOKLANE_KAFKA__PROPERTIES"
    for component, there in (("fanout", True), ("retrier", False)):
        pod = stateful_set(helm, component, more)["spec"]["template"]["spec"]
        told = {one["name"] for one in pod["containers"][0]["env"]}
        assert (protocol in told) is there
        assert ("nodeSelector" in pod) is not there


def test_rules_and_dashboard_are_installed_as_they_are(helm: Helm, tmp_path: Path) -> None:
    """Prometheus' and Grafana's own braces are not Helm's; without the files it says so."""
    bare, chart = tmp_path / "bare", tmp_path / "hooklane"
    for folder in (bare, chart):
        shutil.copytree(CHART, folder, ignore=shutil.ignore_patterns("files"))
    with pytest.raises(RefusedError, match="without files/"):
        helm.rendered(MATRIX["monitored"], bare)
    shutil.copytree(FILES, chart / "files")
    manifests = helm.rendered(MATRIX["monitored"], chart)
    [rules] = of_kind(manifests, "PrometheusRule").values()
    [rule] = rules["spec"]["groups"][0]["rules"]
    assert rule["annotations"]["summary"] == "{{ $value }} lanes of {{ $labels.pod }} are blocked."
    dashboard = of_kind(manifests, "ConfigMap")["rel-hooklane-dashboard"]
    shown = json.loads(dashboard["data"]["hooklane.json"])
    assert shown == json.loads((FILES / "hooklane.json").read_text())
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_notes_say_what_comes_next(helm: Helm) -> None:
    """Each next step, and what is missing by the values."""
    notes = helm.files(LEAST)["hooklane/templates/NOTES.txt"]
    for part in ("rollout status statefulset/rel-hooklane-fanout", "helm test", "test.topic"):
        assert part in notes
    assert "Nothing reads the metrics" in notes
    assert "in a browser" not in notes
    console = helm.files(MATRIX["console"])["hooklane/templates/NOTES.txt"]
    assert "port-forward service/rel-hooklane-console 8085:http" in console
    behind = helm.files(MATRIX["console-behind-a-proxy"])["hooklane/templates/NOTES.txt"]
    assert "https://hooklane.example.com/" in behind
    small = helm.files(MATRIX["small"])["hooklane/templates/NOTES.txt"]
    assert "helm test" not in small
    assert "run `hooklane topics apply` before each upgrade" in small
