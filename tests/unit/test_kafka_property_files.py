"""librdkafka properties from a folder, as Kubernetes mounts a secret."""

from pathlib import Path

import pytest

from hooklane.runtime.errors import SettingsError
from hooklane.runtime.kafka_settings import access_from
from hooklane.runtime.settings import Settings, load_settings
from hooklane.runtime.settings_shown import secret_values, shown_values

GIVEN = '{"sasl.username": "given", "client.rack": "a"}'


def told(folder: Path) -> Settings:
    environ = {
        "HOOKLANE_KAFKA__PROPERTIES": GIVEN,
        "HOOKLANE_KAFKA__PROPERTIES_DIR": str(folder),
    }
    return load_settings(None, environ)


def test_files_are_properties(tmp_path: Path) -> None:
    """A mounted secret's links, its own hidden names and a last line break are what they are."""
    data = tmp_path / "..2026_11_26"
    data.mkdir()
    (data / "sasl.password").write_text('a "quoted" \\ word\n')
    (data / "sasl.username").write_text("hooklane")
    (tmp_path / "..data").symlink_to(data.name)
    for name in ("sasl.password", "sasl.username"):
        (tmp_path / name).symlink_to(Path("..data") / name)
    assert access_from(told(tmp_path)).properties == {
        "client.rack": "a",
        "sasl.username": "hooklane",
        "sasl.password": 'a "quoted" \\ word',
    }


def test_a_password_in_a_file_is_a_secret(tmp_path: Path) -> None:
    """It is shown as `set`, and the log is told to keep it out."""
    (tmp_path / "sasl.password").write_text("canary-71")
    settings = told(tmp_path)
    assert "canary-71" not in str(list(shown_values(settings)))
    assert "canary-71" in list(secret_values(settings))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("sasl.password", b"", "is empty: write the property's value into it"),
        ("sasl.password", b"\xff", "is not UTF-8 text"),
        ("sasl.password", b"x" * 65537, "is larger than 64 KiB"),
        ("group.id", b"mine", "group.id is set by Hooklane itself; take it out"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """One sentence that names the file and what to change, without what is in it."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=said) as found:
        told(tmp_path)
    assert "HOOKLANE_KAFKA__PROPERTIES" in str(found.value)


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    """The start stops with the setting's name and the folder's."""
    with pytest.raises(SettingsError) as found:
        told(tmp_path / "gone")
    assert str(found.value) == (
        f"HOOKLANE_KAFKA__PROPERTIES_DIR: {tmp_path}/gone cannot be read: No such file or "
        "directory."
    )
