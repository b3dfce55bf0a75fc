"""The ports of a broker of the cluster, and the settings that open them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


@dataclass(frozen=True, slots=True)
class Doors:
    """Loopback ports. `proxied` is known to clients as `link`, where a proxy may listen."""

    direct: int
    proxied: int
    link: int
    sasl: int
    tls: int
    secured: int


def doors_settings(doors: Doors, certificate: Path) -> Mapping[str, str]:
    """`certificate`: a PEM file with the key and the certificate of the TLS door."""
    listening = {
        "PLAINTEXT": doors.direct,
        "PROXIED": doors.proxied,
        "SASL": doors.sasl,
        "TLS": doors.tls,
        "SECURED": doors.secured,
    }
    return {
        "listeners": _named(listening),
        "advertised.listeners": _named(listening | {"PROXIED": doors.link}),
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,SECURED:SASL_SSL,"
            "CONTROLLER:PLAINTEXT"
        ),
        "inter.broker.listener.name": "PLAINTEXT",
        **_for("scram-sha-256.sasl.jaas.config", f"{_SCRAM} required;", "sasl", "secured"),
        **_for("sasl.enabled.mechanisms", "SCRAM-SHA-256", "sasl", "secured"),
        **_for("ssl.keystore.type", "PEM", "tls", "secured"),
        **_for("ssl.keystore.location", str(certificate), "tls", "secured"),
    }


def _for(setting: str, value: str, *listeners: str) -> dict[str, str]:
    return {f"listener.name.{listener}.{setting}": value for listener in listeners}


def _named(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
