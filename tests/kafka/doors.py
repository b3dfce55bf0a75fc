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


def doors_settings(doors: Doors, certificate: Path) -> Mapping[str, str]:
    """`certificate`: a PEM file with the key and the certificate of the TLS door."""
    listening = {
        "PLAINTEXT": doors.direct,
        "PROXIED": doors.proxied,
        "SASL": doors.sasl,
        "TLS": doors.tls,
    }
    return {
        "listeners": _named(listening),
        "advertised.listeners": _named(listening | {"PROXIED": doors.link}),
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT"
        ),
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.name.sasl.sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.sasl.scram-sha-256.sasl.jaas.config": f"{_SCRAM} required;",
        "listener.name.tls.ssl.keystore.type": "PEM",
        "listener.name.tls.ssl.keystore.location": str(certificate),
    }


def _named(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
