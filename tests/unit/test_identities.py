"""Certificates and authorities from files: what is of no use is said, and what was good stays."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from hooklane.delivery.auth.identities import Identities
from hooklane.delivery.engine import authorities
from hooklane.delivery.engine.authorities import Authorities
from hooklane.delivery.request import SetupError
from hooklane.runtime.errors import SecretError, SettingsError
from tests.support.engines import Vault, way
from tests.support.receiver_tls import Authority, TrustIn

ISSUER = Authority()
ONE, OTHER = ISSUER.issue("one"), ISSUER.issue("other")
MTLS = way(auth={"mtls": {"certificate": "file:cert", "key": "file:key"}})
SEALED = ONE.key.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.BestAvailableEncryption(b"passphrase"),
)


def identities(**files: bytes) -> tuple[Identities, Vault]:
    vault = Vault(**files)
    return Identities(vault, TrustIn(ISSUER)), vault


def test_made_once_while_nothing_changes() -> None:
    """The same files are the same identity, so that its connections are used again."""
    made, _ = identities(cert=ONE.pem, key=ONE.key_pem)
    assert made.of(MTLS) is made.of(MTLS)


def test_a_document_that_asks_for_none_has_none() -> None:
    """Its requests use the service's own TLS."""
    made, _ = identities(s=b"t")
    assert made.of(way(auth={"bearer": {"token": "file:s"}})) is None


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"cert": b"nonsense", "key": ONE.key_pem}, "needs a certificate and its private key"),
        ({"cert": ONE.pem, "key": b"nonsense"}, "needs a certificate and its private key"),
        ({"cert": b"", "key": b""}, "needs a certificate and its private key"),
        ({"cert": ONE.pem, "key": OTHER.key_pem}, "`auth.mtls.key` is not the key of"),
        ({"cert": ONE.pem, "key": SEALED}, "`auth.mtls.key` is encrypted"),
    ],
)
def test_what_is_no_identity(files: dict[str, bytes], words: str) -> None:
    """It is said which part to mend, at each attempt, and never by OpenSSL on the terminal."""
    made, _ = identities(**files)
    for _ in range(2):
        with pytest.raises(SetupError, match=words):
            made.of(MTLS)


def test_what_is_no_authority() -> None:
    """A `delivery.ca` without a certificate trusts nobody, rather than everybody."""
    made, _ = identities(ca=b"nonsense")
    with pytest.raises(SetupError, match=r"`delivery.ca` holds no certificates"):
        made.of(way(delivery={"ca": "file:ca"}))


def test_a_missing_file_is_told_as_such() -> None:
    """What cannot be read is the secret's fault, by its reference."""
    made, _ = identities(cert=ONE.pem)
    with pytest.raises(SecretError, match="file:key"):
        made.of(MTLS)


def test_the_last_good_one_stays_until_the_next_good_one() -> None:
    """Two files are not replaced at once: what lies between changes nothing."""
    made, vault = identities(cert=ONE.pem, key=ONE.key_pem)
    first = made.of(MTLS)
    vault.files["cert"] = OTHER.pem
    assert made.of(MTLS) is first
    vault.files["key"] = b"half writt"
    assert made.of(MTLS) is first
    vault.files["key"] = OTHER.key_pem
    second = made.of(MTLS)
    assert second is not None
    assert first is not None
    assert second.name != first.name


def test_authorities_of_the_settings_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that changed counts for the next connection; one that is of no use changes nothing."""
    monkeypatch.setattr(authorities, "_LOOK_EVERY_S", 0.0)
    file = tmp_path / "ca.pem"
    file.write_bytes(ISSUER.pem)
    trust = Authorities(file)
    first = trust()
    assert trusts(first, ISSUER)
    assert trust() is first
    file.write_bytes(b"half writt")
    assert trust() is first
    second = Authority("Second")
    file.write_bytes(second.pem)
    renewed = trust()
    assert trusts(renewed, second)
    assert not trusts(renewed, ISSUER)
    assert trust.version == 1


def test_an_identity_is_made_also_while_the_authorities_are_being_written(tmp_path: Path) -> None:
    """A file of the settings that is of no use at this moment keeps no new identity from being
    made: it trusts those that were good last."""
    file = tmp_path / "ca.pem"
    file.write_bytes(ISSUER.pem)
    made = Identities(Vault(cert=ONE.pem, key=ONE.key_pem), Authorities(file))
    file.write_bytes(b"half writt")
    identity = made.of(MTLS)
    assert identity is not None
    assert trusts(identity.context, ISSUER)


def test_a_context_apart_is_not_the_one_that_others_use() -> None:
    """Who changes what it is given gets a context of its own, one for each identity."""
    made, _ = identities(cert=ONE.pem, key=ONE.key_pem)
    identity = made.of(MTLS)
    assert identity is not None
    assert identity.apart() is not identity.context
    assert identity.apart() is identity.apart()
    assert trusts(identity.apart(), ISSUER)


def trusts(context: ssl.SSLContext, authority: Authority) -> bool:
    wanted = authority.certificate.serial_number
    return wanted in {int(str(one["serialNumber"]), 16) for one in context.get_ca_certs()}


@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_authorities_that_cannot_be_used_stop_the_start(
    tmp_path: Path, content: bytes | None
) -> None:
    """The setting is named."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match="HOOKLANE_DELIVERY__CA_FILE"):
        Authorities(file)
