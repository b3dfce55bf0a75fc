"""The chart's values: documented, and refused where they are not what it takes."""

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helm.documented import VALUES, Key, documented
from helm.generate import CHART, made
from helm.schema import NOT_FROM_SETTINGS
from hooklane.runtime.settings import Settings
from hooklane.runtime.settings_source import sections
from tests.support.helm import LEAST, Helm, RefusedError, over

KEYS = documented(VALUES.read_text())


def maps(keys: Iterable[Key], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every map whose keys are documented."""
    yield above
    for key in keys:
        if key.children:
            yield from maps(key.children, key.path)


def at(path: Iterable[str], value: object) -> dict[str, Any]:
    found: Any = value
    for name in reversed(tuple(path)):
        found = {name: found}
    return found  # type: ignore[no-any-return]  # a map, since no path is empty


def refusal(helm: Helm, more: dict[str, Any]) -> str:
    with pytest.raises(RefusedError) as found:
        helm.files(over(LEAST, more))
    return str(found.value)


def test_every_key_is_documented() -> None:
    """Each key of values.yaml that takes a value has a comment."""
    assert [leaf.name for key in KEYS for leaf in key.leaves() if not leaf.text] == []


def test_what_is_made_is_what_would_be_made_now() -> None:
    """values.schema.json and README.md are current, and files/ are the files of observability/."""
    wanted = made()
    assert {path: path.read_text() for path in wanted} == wanted
    there = set((CHART / "files").glob("*"))
    assert there == {path for path in wanted if path.parent.name == "files"}


def test_helm_finds_nothing_to_complain_of(helm: Helm) -> None:
    """`helm lint --strict` with the least values has no warning and no error."""
    report = helm.lint(LEAST)
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] > 1] == []


def together(values: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """All of them at once: Helm tells every fault."""
    found: dict[str, Any] = {}
    for one in values:
        found = over(found, one)
    return found


def test_an_unknown_key_is_refused_at_every_level(helm: Helm) -> None:
    """A misspelt key never passes unseen, whatever map it is in."""
    paths = list(maps(KEYS))
    assert len(paths) > 40
    said = refusal(helm, together(at((*path, "nonsense"), 1) for path in paths))
    for path in paths:
        place = "".join(f"/{name}" for name in path)
        assert f"at '{place}': additional properties 'nonsense' not allowed" in said


def test_an_unknown_setting_is_refused_in_every_section(helm: Helm) -> None:
    """Also in the settings of one service, and those that the chart itself sets."""
    places = [("settings",), ("fanout", "settings"), ("retrier", "settings")]
    unknown = [(*place, section) for place in places for section in sections(Settings)]
    own = [
        ("settings", section, name)
        for section, names in NOT_FROM_SETTINGS.items()
        for name in names
    ]
    said = refusal(
        helm, together([at((*path, "nonsense"), 1) for path in unknown] + [at(p, "a") for p in own])
    )
    for path in unknown:
        assert re.search(rf"at '/{'/'.join(path)}': additional properties .*'nonsense'", said), path
    for _, section, name in own:
        assert re.search(rf"at '/settings/{section}': additional properties .*'{name}'", said)


def test_a_wrong_type_is_refused(helm: Helm) -> None:
    """A list for each key that takes none, and a text for each that takes no text."""
    leaves = [leaf for key in KEYS for leaf in key.leaves() if leaf.path[-1] != "maxUnavailable"]
    assert len(leaves) > 150
    said = refusal(helm, together(at(leaf.path, wrong_for(leaf)) for leaf in leaves))
    for leaf in leaves:
        assert f"at '/{'/'.join(leaf.path)}': " in said, leaf.name


def wrong_for(leaf: Key) -> object:
    match leaf.default:
        case str():
            return ["list"]
        case None | dict():
            return True
        case _:
            return "text"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"settings": {"kafka": {"bootstrap_servers": ""}}}, "bootstrap_servers is missing"),
        ({"settings": {"fanout": {"topics": []}}}, "settings.fanout.topics is missing"),
        ({"settings": {"http": {"port": 0}}}, "settings.http.port must not be 0"),
        ({"kafka": {"sasl": {"mechanism": "PLAIN"}}}, "kafka.sasl.existingSecret is missing"),
        (
            {"kafka": {"sasl": {"mechanism": "OAUTHBEARER", "existingSecret": "a"}}},
            "kafka.sasl.oauthbearer.tokenEndpoint is missing",
        ),
        (
            {"kafka": {"tls": {"certificate": {"existingSecret": "a"}}}},
            "kafka.tls.certificate is set, but not kafka.tls.enabled",
        ),
        ({"test": {"topic": "a"}}, "test.signing.existingSecret is missing"),
        (
            {"test": {"topic": "a", "signing": {"existingSecret": "a"}}},
            "test.url is missing",
        ),
        (
            {"retrier": {"autoscaling": {"enabled": True}}},
            "retrier.autoscaling.keda.prometheus is missing",
        ),
        (
            {
                "settings": {"fanout": {"topics": ["^a"]}},
                "fanout": {"autoscaling": {"enabled": True}},
            },
            "fanout.autoscaling.keda.topics is missing",
        ),
        (
            {
                "kafka": {"sasl": {"mechanism": "PLAIN", "username": "a", "existingSecret": "a"}},
                "fanout": {"autoscaling": {"enabled": True}},
            },
            "fanout.autoscaling.keda.authenticationRef is missing",
        ),
        ({"console": {"enabled": True}}, "console.token.existingSecret is missing"),
        (
            {
                "console": {
                    "enabled": True,
                    "token": {"existingSecret": "a"},
                    "ingress": {"enabled": True},
                }
            },
            "console.ingress.host is missing",
        ),
        (
            {
                "fanout": {
                    "autoscaling": {
                        "enabled": True,
                        "kind": "hpa",
                        "hpa": {"targetCpuUtilization": None},
                    }
                }
            },
            "fanout.autoscaling.hpa has no metric",
        ),
    ],
)
def test_what_is_missing_is_said(helm: Helm, more: dict[str, Any], said: str) -> None:
    """What belongs together and is not there stops the installation in a sentence."""
    assert said in refusal(helm, more)


@pytest.mark.parametrize(
    "more",
    [
        {"settings": {"kafka": {"properties": {"sasl.password": "canary"}}}},
        {"settings": {"kafka": {"properties": {"ssl.key.pem": "canary"}}}},
        {"settings": {"delivery": {"proxy": "http://user:canary@proxy:1"}}},
        {"settings": {"schema_registry": {"url": "http://user:canary@proxy:1"}}},
        {"settings": {"secrets": {"encryption_keys": ["canary"]}}},
        {"console": {"settings": {"console": {"token": "canary"}}}},
        {"secrets": {"env": [{"name": "HOOKLANE_SECRET_A", "value": "canary"}]}},
        {
            "subscriptions": {
                "documents": [
                    {"id": "a", "url": "https://a.example/", "signing": {"secrets": ["canary"]}}
                ]
            }
        },
        {
            "subscriptions": {
                "documents": [
                    {"id": "a", "url": "https://a.example/", "auth": {"bearer": {"token": "c"}}}
                ]
            }
        },
    ],
)
def test_a_secret_among_the_values_is_refused(helm: Helm, more: dict[str, Any]) -> None:
    """Credentials are names of Secrets, never values, wherever one could be written."""
    assert "don't meet the specifications" in refusal(helm, more)


def test_a_bad_document_is_refused_before_anything_is_installed(helm: Helm) -> None:
    """Documents are judged by Hooklane's own schema of them."""
    document = {"id": "a", "url": "https://a.example/", "ordering": "sometimes"}
    said = refusal(helm, {"subscriptions": {"documents": [document]}})
    assert "/subscriptions/documents/0" in said


def test_it_works_as_a_subchart(helm: Helm, tmp_path: Path) -> None:
    """A parent's `global` and its condition `hooklane.enabled` are taken, and heeded."""
    shutil.copytree(CHART, tmp_path / "charts" / "hooklane")
    (tmp_path / "Chart.yaml").write_text(
        "apiVersion: v2\nname: shop\nversion: 1.0.0\ndependencies:\n"
        "  - {name: hooklane, version: 0.1.0, condition: hooklane.enabled}\n"
    )
    values = {"global": {"imageRegistry": "mirror.example.com"}, "hooklane": dict(LEAST)}
    values["hooklane"]["enabled"] = True
    images = {
        container["image"]
        for one in helm.rendered(values, tmp_path)
        if one["kind"] == "StatefulSet"
        for container in one["spec"]["template"]["spec"]["containers"]
    }
    assert images == {"mirror.example.com/hooklane:0.1.0"}
    values["hooklane"]["enabled"] = False
    assert helm.rendered(values, tmp_path) == []
