"""docker-compose.yml: what it starts by itself, and by profile."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hooklane.runtime.kafka_settings import policy_from
from hooklane.runtime.settings import load_settings
from hooklane.schemas.subscription import validate
from hooklane.schemas.version import __version__

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()


def of_no_profile(compose: dict[str, Any]) -> dict[str, Any]:
    """The services that `docker compose up` starts where no profile is named."""
    services = compose["services"].items()
    return {name: service for name, service in services if "profiles" not in service}


def test_compose_takes_it() -> None:
    """The Compose Specification's own schema finds nothing wrong."""
    folder = files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    compose = yaml.safe_load(COMPOSE)
    assert [error.message for error in validator.iter_errors(compose)] == []
    assert list(validator.iter_errors({**compose, "services": {"a": {"imag": "b"}}})) != []


def test_compose_starts_one_kafka_for_this_machine_only() -> None:
    """The official image, in the version of the tests, on loopback; one node holds every copy."""
    compose = yaml.safe_load(COMPOSE)
    [(name, kafka)] = of_no_profile(compose).items()
    version = re.search(r"<artifactId>kafka_2.13</artifactId>\s*<version>([\d.]+)<", _pom())
    assert version is not None
    assert kafka["image"] == f"apache/kafka:{version[1]}"
    assert kafka["ports"] == ["127.0.0.1:9092:9092"]
    told = kafka["environment"]
    assert all(isinstance(value, str) for value in told.values())
    assert told["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert "localhost:9092" in told["KAFKA_ADVERTISED_LISTENERS"]
    assert f"{name}:19092" in told["KAFKA_ADVERTISED_LISTENERS"]
    copies = {key: told[key] for key in told if key.endswith(("REPLICATION_FACTOR", "MIN_ISR"))}
    assert len(copies) == 5
    assert set(copies.values()) == {"1"}
    [volume] = kafka["volumes"]
    assert volume == f"{next(iter(compose['volumes']))}:{told['KAFKA_LOG_DIRS']}"


def test_compose_listeners_agree() -> None:
    """Each listener has a protocol, each advertised one is a listener, and the roles are named."""
    compose = yaml.safe_load(COMPOSE)
    told = compose["services"]["kafka"]["environment"]
    listeners = {one.partition("://")[0] for one in told["KAFKA_LISTENERS"].split(",")}
    advertised = {one.partition("://")[0] for one in told["KAFKA_ADVERTISED_LISTENERS"].split(",")}
    protocols = dict(
        one.split(":") for one in told["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    )
    assert protocols.keys() == listeners
    assert advertised == listeners - {told["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    assert told["KAFKA_INTER_BROKER_LISTENER_NAME"] in advertised


def test_the_quickstart_starts_what_compose_has() -> None:
    """The way with Docker names the file's service, and is what the file itself says to type."""
    text = COMPOSE
    [(name, _)] = of_no_profile(yaml.safe_load(text)).items()
    first = text.split("\n# By profile")[0]
    said = re.sub(r"\\\n#? *", "", "\n".join(re.findall(r"^#   (.*)$", first, re.MULTILINE)))
    quickstart = (ROOT / "docs" / "quickstart.md").read_text()
    section = quickstart.split("### With Docker Compose")[1].split("### ")[0]
    typed = re.sub(r"\\\n *", "", section.split("```console\n")[1].split("```")[0])
    commands = [line.removeprefix("$ ") for line in typed.splitlines()]
    assert commands == [
        line for line in said.splitlines() if not line.startswith("docker compose down")
    ]
    assert commands[1].startswith(f"docker compose exec {name} ")


@pytest.mark.parametrize("name", ["setup", "fanout", "retrier", "console"])
def test_hooklane_takes_what_it_is_told(name: str) -> None:
    """The environment of each service starts the settings' own parser; nothing runs as root."""
    service = yaml.safe_load(COMPOSE)["services"][name]
    settings = load_settings(None, service["environment"])
    assert settings.event_topics() == ("orders.events",)
    assert service["image"] == f"hooklane:{__version__}"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    if name != "setup":
        room = settings.fanout.shutdown_grace.seconds + settings.kafka.session_timeout.seconds
        assert int(service["stop_grace_period"].removesuffix("s")) > room


def test_what_is_told_fits_together() -> None:
    """The subscription's secret is the receiver's, its URL leads there, and its topic is made."""
    compose = yaml.safe_load(COMPOSE)
    services, configs = compose["services"], compose["configs"]
    document = yaml.safe_load(configs["subscriptions"]["content"])
    told = services["fanout"]["environment"]
    settings = load_settings(None, told)
    assert validate(document, policy_from(settings)).id == "receiver"
    [reference] = document["signing"]["secrets"]
    shown = services["receiver"]["environment"]["HOOKLANE_LISTEN_SECRET"]
    assert told[reference.removeprefix("env:")] == shown
    assert services["receiver"]["command"][-1] == re.search(r":(\d+)/", document["url"])[1]  # type: ignore[index]  # it has one
    assert "orders.events" in services["events"]["command"]
    used = {one["source"] for service in services.values() for one in service.get("configs", ())}
    assert used == configs.keys()
    scraped = yaml.safe_load(configs["prometheus"]["content"])["scrape_configs"][0]
    targets = scraped["static_configs"][0]["targets"]
    assert targets == [f"{name}:{settings.http.port}" for name in ("fanout", "retrier")]


def test_the_console_is_reached_and_sees_the_services() -> None:
    """Its port is published and asked for its health, and it asks both services for theirs."""
    console = yaml.safe_load(COMPOSE)["services"]["console"]
    settings = load_settings(None, console["environment"])
    assert console["ports"] == [f"127.0.0.1:{settings.console.port}:{settings.console.port}"]
    assert f"localhost:{settings.console.port}/readyz" in console["healthcheck"]["test"][-1]
    assert settings.console.token is not None
    asked = [f"http://{name}:{settings.http.port}" for name in ("fanout", "retrier")]
    assert list(settings.console.services) == asked


def test_what_is_published_is_for_this_machine_only() -> None:
    """Every port is on loopback."""
    for service in yaml.safe_load(COMPOSE)["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def _pom() -> str:
    return (ROOT / "tests" / "kafka" / "pom.xml").read_text()
