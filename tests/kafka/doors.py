"""The ports of a broker of the cluster, and the settings that open them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CERTIFIED = "certified"
"""The user that whoever has a certificate is."""
BEARER = "bearer"
"""The user of the tokens."""
_BEARER = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
_OF_BROKER = 'unsecuredLoginStringClaim_sub="broker"'
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
    mutual: int
    token: int


def doors_settings(doors: Doors, certificate: Path, authority: Path) -> Mapping[str, str]:
    """PEM files: `certificate` with the key and the certificate of the doors with TLS, `authority`
    with that of who issues clients' certificates."""
    listening = {
        "PLAINTEXT": doors.direct,
        "PROXIED": doors.proxied,
        "SASL": doors.sasl,
        "TLS": doors.tls,
        "SECURED": doors.secured,
        "MUTUAL": doors.mutual,
        "TOKEN": doors.token,
    }
    return {
        "listeners": _named(listening),
        "advertised.listeners": _named(listening | {"PROXIED": doors.link}),
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,SECURED:SASL_SSL,"
            "MUTUAL:SSL,TOKEN:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
        "inter.broker.listener.name": "PLAINTEXT",
        **_for("scram-sha-256.sasl.jaas.config", f"{_SCRAM} required;", "sasl", "secured"),
        **_for("sasl.enabled.mechanisms", "SCRAM-SHA-256", "sasl", "secured"),
        **_for("oauthbearer.sasl.jaas.config", f"{_BEARER} {_OF_BROKER};", "token"),
        **_for("sasl.enabled.mechanisms", "OAUTHBEARER", "token"),
        **_for("ssl.keystore.type", "PEM", "tls", "secured", "mutual"),
        **_for("ssl.keystore.location", str(certificate), "tls", "secured", "mutual"),
        **_for("ssl.client.auth", "required", "mutual"),
        **_for("ssl.truststore.type", "PEM", "mutual"),
        **_for("ssl.truststore.location", str(authority), "mutual"),
        **_for("ssl.principal.mapping.rules", f"RULE:^.*$/{CERTIFIED}/", "mutual"),
    }


def _for(setting: str, value: str, *listeners: str) -> dict[str, str]:
    return {f"listener.name.{listener}.{setting}": value for listener in listeners}


def _named(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
