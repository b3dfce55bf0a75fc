"""References to secrets: what they resolve to, what is refused, and that nothing leaks."""

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from hooklane.runtime.errors import SecretError
from hooklane.runtime.redaction import REDACTED, KnownSecrets
from hooklane.runtime.secrets import Secrets, encryption_keys
from hooklane.runtime.secrets_enc import EncryptionKeys, key_id, read_key
from hooklane.runtime.settings_sections import SecretSettings

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def text_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


def settings_with(*keys: bytes, file: Path | None = None) -> SecretSettings:
    listed = tuple(SecretStr(text_of(key)) for key in keys)
    return SecretSettings(encryption_keys=listed, encryption_keys_file=file)


def refused(secrets: Secrets, reference: str) -> str:
    with pytest.raises(SecretError) as found:
        secrets.resolve(reference)
    return str(found.value)


def test_a_variable_of_the_environment() -> None:
    """env: takes the variable of that name, as it is now."""
    environ = {"HOOKLANE_SECRET_A": "whsec_one"}
    secrets = Secrets(SecretSettings(), environ=environ)
    assert secrets.resolve("env:HOOKLANE_SECRET_A") == b"whsec_one"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:PATH", "a secret's variable is called HOOKLANE_SECRET_"),
        ("env:HOOKLANE_SECRETS__ENCRYPTION_KEYS", "a secret's variable"),
        ("env:HOOKLANE_SECRET_", "a secret's variable"),
        ("env:", "a secret's variable"),
        ("env:HOOKLANE_SECRET_NONE", "set HOOKLANE_SECRET_NONE for the services"),
        ("env:HOOKLANE_SECRET_EMPTY", "is not set"),
        ("file:../passwd", "plain name"),
        ("file:/etc/passwd", "plain name"),
        ("file:..data", "plain name"),
        ("file:a/b", "plain name"),
        ("file:", "plain name"),
        ("file:none", "set HOOKLANE_SECRETS__DIR"),
        ("enc:v2:00000000:AAAA", "encrypt it again"),
        ("enc:v1:", "encrypt it again"),
        ("enc:v1:00000000:" + "A" * 38, "under key 00000000, which is not here"),
        ("whsec_in_the_clear", "refer to it by env:, file: or enc:"),
        ("vault:path", "refer to it by env:, file: or enc:"),
    ],
)
def test_what_is_refused_is_said_without_the_secret(reference: str, said: str) -> None:
    """One sentence that names what to change; what may be a secret is not repeated."""
    secrets = Secrets(SecretSettings(), environ={"HOOKLANE_SECRET_EMPTY": "", "PATH": "/bin"})
    text = refused(secrets, reference)
    assert said in text
    assert text.endswith(".")
    assert "in_the_clear" not in text


def test_a_secret_in_the_wrong_place_is_not_repeated() -> None:
    """A secret that somebody wrote after env: or file: does not come back in the message."""
    secret = "whsec_" + "A" * 40 + "+/="
    secrets = Secrets(SecretSettings(), environ={})
    assert secret not in refused(secrets, f"env:{secret}") + refused(secrets, f"file:{secret}")


def test_a_literal_only_where_it_is_allowed() -> None:
    """With the setting a secret may stand in the document."""
    secrets = Secrets(SecretSettings(allow_plaintext=True))
    assert secrets.resolve("whsec_in_the_clear") == b"whsec_in_the_clear"


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_file_without_its_last_newline(tmp_path: Path, ending: bytes) -> None:
    """What editors put at the end of a file is not part of the secret; the rest is."""
    (tmp_path / "token").write_bytes(b" a\nb " + ending)
    assert Secrets(SecretSettings(dir=tmp_path)).resolve("file:token") == b" a\nb "


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    """A new content counts from the next delivery on, without a restart."""
    file = tmp_path / "token"
    secrets = Secrets(SecretSettings(dir=tmp_path))
    for content in (b"one", b"two", b"three"):
        file.write_bytes(content)
        # Two writes within one tick of the file system's clock must not look alike.
        os.utime(file, ns=(0, int.from_bytes(content[:2], "big")))
        assert secrets.resolve("file:token") == content
        assert secrets.resolve("file:token") == content


def test_kubernetes_links_are_followed(tmp_path: Path) -> None:
    """A mounted Secret is changed by pointing its link `..data` elsewhere."""
    secrets = Secrets(SecretSettings(dir=tmp_path))
    (tmp_path / "token").symlink_to("..data/token")
    for version in ("..v1", "..v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "token").write_text(version)
        (tmp_path / "..new").symlink_to(version)
        (tmp_path / "..new").rename(tmp_path / "..data")
        assert secrets.resolve("file:token") == version.encode()


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """Only what is in the secrets folder is a secret."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (tmp_path / "other").write_text("x")
    (folder / "token").symlink_to("../other")
    assert "leaves" in refused(Secrets(SecretSettings(dir=folder)), "file:token")


def test_odd_files_are_refused(tmp_path: Path) -> None:
    """A missing, empty, huge or irregular file is said, and never waited for."""
    secrets = Secrets(SecretSettings(dir=tmp_path))
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "huge").write_bytes(bytes(64 * 1024 + 1))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert "cannot be read (No such file" in refused(secrets, "file:missing")
    assert "is empty" in refused(secrets, "file:empty")
    assert "larger than 64 KiB" in refused(secrets, "file:huge")
    assert "regular file" in refused(secrets, "file:pipe")
    assert "file:folder" in refused(secrets, "file:folder")


@given(st.binary(max_size=200))
def test_what_was_encrypted_comes_back(secret: bytes) -> None:
    """enc: round trip, another text each time, in characters that a document takes."""
    keys = EncryptionKeys([OLD])
    sealed = keys.encrypt(secret)
    assert keys.decrypt(sealed) == secret
    assert sealed != keys.encrypt(secret)
    assert sealed.isascii()
    assert sealed.isprintable()


def test_keys_are_rotated_without_a_gap() -> None:
    """The first key encrypts; what older keys encrypted still opens while they are listed."""
    before = EncryptionKeys([OLD]).encrypt(b"x")
    both = Secrets(settings_with(NEW, OLD))
    assert both.resolve(before) == b"x"
    after = encryption_keys(settings_with(NEW, OLD)).encrypt(b"y")
    assert Secrets(settings_with(NEW)).resolve(after) == b"y"
    assert key_id(OLD) in refused(Secrets(settings_with(NEW)), before)


@pytest.mark.parametrize("place", range(len(EncryptionKeys([OLD]).encrypt(b"secret"))))
def test_an_altered_text_never_opens(place: int) -> None:
    """Not one character of an enc: reference may change; the last one's spare bits may."""
    keys = EncryptionKeys([OLD])
    sealed = keys.encrypt(b"secret")
    other = "B" if sealed[place] == "A" else "A"
    altered = sealed[:place] + other + sealed[place + 1 :]
    try:
        opened = keys.decrypt(altered)
    except SecretError:
        return
    assert place == len(sealed) - 1
    assert opened == b"secret"


def test_the_key_id_is_authenticated() -> None:
    """A text cannot be passed off as one of another key."""
    sealed = EncryptionKeys([OLD]).encrypt(b"x").replace(key_id(OLD), key_id(NEW))
    with pytest.raises(SecretError, match="altered"):
        EncryptionKeys([OLD, NEW]).decrypt(sealed)


def test_a_key_file_is_read_again(tmp_path: Path) -> None:
    """A key put into the file opens secrets at once, one that is taken out opens none any more."""
    file = tmp_path / "keys"
    file.write_text(f"{text_of(OLD)}\n")
    secrets = Secrets(settings_with(file=file))
    sealed = EncryptionKeys([OLD]).encrypt(b"x")
    assert secrets.resolve(sealed) == b"x"
    file.write_text(f"{text_of(NEW)}\n{text_of(OLD)}\n")
    assert secrets.resolve(EncryptionKeys([NEW]).encrypt(b"y")) == b"y"
    file.write_text(f"{text_of(NEW)}\n")
    assert "which is not here" in refused(secrets, sealed)


@pytest.mark.parametrize("text", ["", "x", "hush-hush", text_of(b"short"), text_of(bytes(33))])
def test_a_key_that_is_none_is_not_repeated(text: str) -> None:
    """A wrong key is said without the key."""
    with pytest.raises(SecretError, match="32 bytes in base64") as found:
        read_key(text)
    assert "hush" not in str(found.value)


def test_without_a_key_nothing_is_encrypted() -> None:
    """The message says what makes a key and where it goes."""
    with pytest.raises(SecretError, match="generate-key"):
        encryption_keys(SecretSettings()).encrypt(b"x")


def test_what_was_resolved_is_kept_out_of_the_log() -> None:
    """The log knows every secret that was ever used."""
    known = KnownSecrets()
    Secrets(SecretSettings(), known, {"HOOKLANE_SECRET_A": "whsec_one"}).resolve(
        "env:HOOKLANE_SECRET_A"
    )
    assert known.redact("sent whsec_one!") == f"sent {REDACTED}!"
