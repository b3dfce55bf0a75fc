"""What the chart makes, over a matrix of values: for Kubernetes, and for Hooklane itself."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooklane.runtime.settings import Settings, load_settings
from hooklane.runtime.settings_shown import secret_values
from tests.support.chart_values import MATRIX, SECRETS
from tests.support.helm import CHART, Helm, Manifest, of_kind, over, pod_of
from tests.support.kubelet import environment, mount
from tests.support.kubernetes_schemas import faults
from tests.support.pod_security import violations

FILES = Path(__file__).parent / "data" / "chart_files"
DOCUMENTS = {"documents": {"a.yaml": "id: a"}, "rel-hooklane-subscriptions": {"a.yaml": "id: a"}}
VERSIONS = ("1.29", "1.33", "1.37")


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart, with a rule and a dashboard that are the tests' own."""
    folder = tmp_path_factory.mktemp("chart") / "hooklane"
    shutil.copytree(CHART, folder)
    shutil.copytree(FILES, folder / "files", dirs_exist_ok=True)
    return folder


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for one in manifests:
        pod = pod_of(one)
        if pod is not None:
            yield one["metadata"]["name"], pod


@pytest.mark.parametrize("values", MATRIX)
def test_kubernetes_takes_every_manifest(helm: Helm, chart: Path, values: str) -> None:
    """Each of three versions takes each manifest, without an unknown field; operators theirs."""
    for one in helm.rendered(MATRIX[values], chart):
        for version in VERSIONS:
            assert faults(one, version) == [], (one["kind"], one["metadata"]["name"], version)


def test_what_kubernetes_refuses_is_seen() -> None:
    """The check itself fails for an unknown field, a wrong type, and an operator's number."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    assert faults({**service, "spec": {"portz": []}}, "1.37") != []
    assert faults({**service, "spec": {"ports": [{"port": "http"}]}}, "1.29") != []
    trigger = {"type": "kafka", "metadata": {"lagThreshold": 5}}
    spec = {"scaleTargetRef": {"name": "a"}, "triggers": [trigger]}
    scaled = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "a"}}
    assert faults({**scaled, "spec": spec}, "1.37") != []


@pytest.mark.parametrize("values", MATRIX)
def test_every_pod_keeps_the_restricted_standard(helm: Helm, chart: Path, values: str) -> None:
    """Services, jobs and test: restricted, read-only, without a token and service links."""
    for name, pod in pods(helm.rendered(MATRIX[values], chart)):
        assert list(violations(pod)) == [], name
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_what_the_standard_refuses_is_seen() -> None:
    """The check itself fails for a plain pod and for a path of the host."""
    assert len(list(violations({"containers": [{"name": "a"}]}))) == 4
    pod = {"containers": [], "volumes": [{"name": "a", "hostPath": {"path": "/"}}]}
    assert list(violations(pod)) == ["volume a: {'hostPath'}"]


@pytest.mark.parametrize("values", MATRIX)
def test_hooklane_takes_every_pods_settings(
    helm: Helm, chart: Path, values: str, tmp_path: Path
) -> None:
    """Each pod's environment and mounted files start the settings' own parser."""
    for name, pod in pods(helm.rendered(MATRIX[values], chart)):
        told_by(pod, f"{name}-0", tmp_path / name)


def told_by(pod: Manifest, name: str, root: Path) -> Settings:
    mount(pod, root, SECRETS, DOCUMENTS)
    return load_settings(None, environment(pod, name, root, SECRETS))


def test_credentials_reach_librdkafka_as_they_are(helm: Helm, tmp_path: Path) -> None:
    """A password with quotes, a backslash and `$(…)` is neither quoted nor expanded."""
    rendered = dict(pods(helm.rendered(MATRIX["scram"])))
    fanout = told_by(rendered["rel-hooklane-fanout"], "rel-hooklane-fanout-1", tmp_path / "f")
    assert fanout.kafka.instance_id == "rel-hooklane-fanout-1"
    assert fanout.kafka.properties == {
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "hooklane",
        "sasl.password": SECRETS["kafka-user"]["pass"],
        "ssl.ca.location": f"{tmp_path}/f/etc/hooklane/kafka-tls/ca.crt",
    }
    retrier = told_by(rendered["rel-hooklane-retrier"], "rel-hooklane-retrier-0", tmp_path / "r")
    assert retrier.kafka.properties["sasl.username"] == "retrier"
    assert retrier.retrier.spool_dir == tmp_path / "r" / "var/lib/hooklane/spool"


def test_a_secret_without_a_user_name_will_do(helm: Helm, tmp_path: Path) -> None:
    """As Strimzi makes them: the name is a value, the password alone comes from the Secret."""
    rendered = dict(pods(helm.rendered(MATRIX["strimzi"])))
    properties = told_by(rendered["rel-hooklane-topics"], "t", tmp_path).kafka.properties
    assert (properties["sasl.username"], properties["sasl.password"]) == ("hooklane", "theirs")


def test_settings_arrive_as_they_were_meant(helm: Helm, tmp_path: Path) -> None:
    """Large numbers, nulls, lists, and the settings of one service alone."""
    rendered = dict(pods(helm.rendered(MATRIX["settings"])))
    fanout = told_by(rendered["rel-hooklane-fanout"], "f-0", tmp_path)
    assert fanout.kafka.properties == {"message.max.bytes": 2_000_000, "client.rack": "a"}
    assert (fanout.fanout.window_span, fanout.fanout.window_bytes) == (1_000_000, 2**27)
    assert fanout.fanout.spill_after.text == "500ms"
    assert fanout.delivery.rate_share == 0.25
    assert fanout.log.format == "console"
    assert (fanout.tenants.topics, fanout.tenants.required) == (
        {"acme": ("orders.*",), "*": ()},
        True,
    )
    assert fanout.tenants.quotas["acme"].max_in_flight == 64
    retrier = told_by(rendered["rel-hooklane-retrier"], "r-0", tmp_path)
    assert (retrier.delivery.rate_share, retrier.log.level) == (1, "info")
    assert retrier.retrier.max_in_flight == 64
    # What the fan-out consumes is nothing that the retrier needs rights for.
    assert retrier.fanout.topics == ()


def test_secrets_are_in_no_manifest_but_by_name(helm: Helm, tmp_path: Path) -> None:
    """What a pod is told holds the secrets; what Helm wrote holds none of them."""
    rendered = dict(pods(helm.rendered(MATRIX["secrets"])))
    settings = told_by(rendered["rel-hooklane-fanout"], "f-0", tmp_path)
    assert SECRETS["proxy"]["url"] in set(secret_values(settings))
    assert settings.secrets.encryption_keys_file is not None
    assert settings.secrets.encryption_keys_file.read_text() == SECRETS["enc"]["keys"]
    assert settings.secrets.dir is not None
    assert (settings.secrets.dir / "shipping").read_text() == "whsec_y"
    assert settings.delivery.ca_file is not None
    assert settings.delivery.ca_file.is_file()


def test_the_console_is_told_what_the_chart_knows(helm: Helm, tmp_path: Path) -> None:
    """The services' addresses, by replicas or by the fewest of a scaler; the ingress' address; and
    its token, which no other pod gets, from a Secret. It gets no secret of subscriptions."""
    rendered = dict(pods(helm.rendered(MATRIX["console"])))
    console = told_by(rendered["rel-hooklane-console"], "c", tmp_path / "a").console
    assert console.services == tuple(
        f"http://rel-hooklane-{one}-{at}.rel-hooklane-{one}.webhooks.svc:8080"
        for one in ("fanout", "retrier")
        for at in (0, 1)
    )
    assert console.token is not None
    assert console.token.get_secret_value() == SECRETS["console-token"]["token"]
    assert (console.host, console.port, console.public_url) == ("0.0.0.0", 8085, None)  # noqa: S104
    fanout = told_by(rendered["rel-hooklane-fanout"], "f", tmp_path / "f")
    assert fanout.console.token is None
    rendered = dict(pods(helm.rendered(MATRIX["console-behind-a-proxy"])))
    console = told_by(rendered["rel-hooklane-console"], "c", tmp_path / "b").console
    assert (console.user_header, console.read_only) == ("x-forwarded-user", True)
    assert console.public_url == "https://hooklane.example.com"
    assert len(console.services) == 2 + 3
    with_secrets = over(MATRIX["secrets"], MATRIX["console"])
    [pod] = [one for name, one in pods(helm.rendered(with_secrets)) if name.endswith("-console")]
    told = {one["name"] for one in pod["containers"][0]["env"]}
    assert not [one for one in told if one.startswith(("HOOKLANE_SECRET_", "HOOKLANE_SECRETS__"))]
    assert {one["name"] for one in pod["volumes"]} == {"tmp", "kafka-properties", "kafka-tls"}


@pytest.mark.parametrize("values", MATRIX)
def test_whatever_selects_pods_finds_them(helm: Helm, chart: Path, values: str) -> None:
    """Services, budgets and StatefulSets select their pods; monitors the services and pods."""
    manifests = helm.rendered(MATRIX[values], chart)
    sets = of_kind(manifests, "StatefulSet")
    for name, one in {**sets, **of_kind(manifests, "Deployment")}.items():
        labels = one["spec"]["template"]["metadata"]["labels"]
        selector = one["spec"]["selector"]["matchLabels"]
        assert selector.items() <= labels.items()
        assert of_kind(manifests, "Service")[name]["spec"]["selector"] == selector
        budget = of_kind(manifests, "PodDisruptionBudget").get(name)
        assert budget is None or budget["spec"]["selector"]["matchLabels"] == selector
    for kind in ("ServiceMonitor", "PodMonitor"):
        for one in of_kind(manifests, kind).values():
            wanted = one["spec"]["selector"]["matchLabels"].items()
            assert all(wanted <= found["metadata"]["labels"].items() for found in sets.values())
