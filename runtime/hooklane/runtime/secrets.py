"""What a subscription's references to secrets stand for.

    env:HOOKLANE_SECRET_BILLING   an environment variable of the service
    file:billing-token            a file in the secrets folder, read again when it changes
    enc:v1:...                    encrypted under a key of the services, see secrets_enc
    NAME:PATH                     in the store of the plugin NAME, see secrets_stores
    anything else                 the secret itself, only where a setting allows it

No error's text holds a secret. Every value that was found is told to `KnownSecrets`, so that the
log keeps it out.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hooklane.runtime.errors import SecretError
from hooklane.runtime.plugins import installed_plugins
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.secrets_enc import EncryptionKeys, read_key
from hooklane.runtime.secrets_stores import Stores
from hooklane.runtime.settings_sections import SecretSettings

_ENV_NAME: Final = re.compile(r"HOOKLANE_SECRET_[A-Z0-9_]+")
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,253}")
_LARGEST: Final = 64 * 1024
_REMEMBERED: Final = 10_000


class Secrets:
    """Resolves references. `environ` is the process's environment."""

    def __init__(
        self,
        settings: SecretSettings,
        known: KnownSecrets | None = None,
        environ: Mapping[str, str] = os.environ,
        stores: Stores | None = None,
    ) -> None:
        self._settings = settings
        self.stores = stores or Stores(settings.stores, installed_plugins())
        self._known = KnownSecrets() if known is None else known
        self._environ = environ
        self._files: dict[Path, _Read] = {}
        self._decrypted: dict[str, bytes] = {}
        self._told: set[bytes] = set()
        self._keys = _KeyRing(settings)

    def resolve(self, reference: str) -> bytes:
        """The secret that a reference stands for; for a file about 8 µs while it is unchanged.

        Raises:
            SecretError: it is not to be had; the text says what to change.
        """
        kind, _, rest = reference.partition(":")
        match kind:
            case "env":
                secret = self._from_environment(rest)
            case "file":
                secret = self._from_file(rest)
            case "enc":
                secret = self._decrypt(reference)
            case _ if rest and kind in self.stores.names():
                secret = self.stores.value(reference)
            case _:
                secret = self._literal(reference)
        if secret not in self._told:
            if len(self._told) >= _REMEMBERED:
                self._told.clear()
            self._told.add(secret)
            self._known.add(secret)
        return secret

    def keep_out(self, value: bytes) -> None:
        """This was made from a secret and is as secret: the log keeps it out."""
        self._known.add(value)

    def _from_environment(self, name: str) -> bytes:
        if not _ENV_NAME.fullmatch(name):
            raise SecretError(
                f"env:{_safe(name)} may not be read: a secret's variable is called "
                "HOOKLANE_SECRET_... in A-Z, 0-9 and _."
            )
        value = self._environ.get(name, "")
        if not value:
            raise SecretError(f"The secret env:{name} is not set: set {name} for the services.")
        return value.encode("utf-8", "surrogateescape")

    def _from_file(self, name: str) -> bytes:
        folder = self._settings.dir
        if not _FILE_NAME.fullmatch(name) or name.startswith(".."):
            raise SecretError(
                f"file:{_safe(name)} may not be read: write the plain name of a file in the "
                "secrets folder."
            )
        if folder is None:
            raise SecretError(
                f"The secret file:{name} cannot be read: set HOOKLANE_SECRETS__DIR to the folder "
                "that holds it."
            )
        path = folder / name
        before = self._files.get(path)
        found = _read_again(path, folder, before, f"The secret file:{name}")
        self._files[path] = found
        secret = found.content.removesuffix(b"\n").removesuffix(b"\r")
        if not secret:
            raise SecretError(f"The secret file:{name} is empty: write the secret into {path}.")
        return secret

    def _decrypt(self, reference: str) -> bytes:
        keys, changed = self._keys.current()
        if changed or len(self._decrypted) >= _REMEMBERED:
            self._decrypted.clear()
        secret = self._decrypted.get(reference)
        if secret is None:
            secret = self._decrypted[reference] = keys.decrypt(reference)
        return secret

    def _literal(self, text: str) -> bytes:
        if not self._settings.allow_plaintext:
            raise SecretError(
                "A secret stands in the clear in a subscription: refer to it by env:, file: or "
                "enc:, or set HOOKLANE_SECRETS__ALLOW_PLAINTEXT=true for a trial."
            )
        return text.encode()


def encryption_keys(settings: SecretSettings) -> EncryptionKeys:
    """The keys of the settings and of the key file.

    Raises:
        SecretError: the key file cannot be read or holds no keys.
    """
    return _KeyRing(settings).current()[0]


@dataclass(frozen=True, slots=True)
class _Read:
    """A file's content, and by what one sees that it is still the same."""

    stamp: tuple[int, int, int, int]
    content: bytes


class _KeyRing:
    """The encryption keys, read again when their file changes."""

    def __init__(self, settings: SecretSettings) -> None:
        self._listed = tuple(read_key(key.get_secret_value()) for key in settings.encryption_keys)
        self._path = settings.encryption_keys_file
        self._read: _Read | None = None
        self._keys = EncryptionKeys(self._listed)

    def current(self) -> tuple[EncryptionKeys, bool]:
        """The keys, and whether they changed since the last call."""
        if self._path is None:
            return self._keys, False
        found = _read_again(self._path, None, self._read, f"The key file {self._path}")
        if found is self._read:
            return self._keys, False
        lines = found.content.decode("ascii", "replace").split()
        self._keys = EncryptionKeys([*map(read_key, lines), *self._listed])
        self._read = found
        return self._keys, True


def _read_again(path: Path, folder: Path | None, before: _Read | None, what: str) -> _Read:
    """The file's content, or `before` itself where the file has not changed.

    Kubernetes changes a mounted secret by pointing a symbolic link elsewhere: links are followed,
    as long as they stay in `folder`.
    """
    try:
        if before is not None and _stamp(path.stat()) == before.stamp:
            return before
        if folder is not None and not path.resolve().is_relative_to(folder.resolve()):
            raise SecretError(f"{what} is a link that leaves {folder}: put the file itself there.")
        # A pipe by that name must not stop the service until somebody writes into it.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:  # noqa: PTH123 - an open descriptor
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise SecretError(f"{what} is not a regular file: {path} must be one.")
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise SecretError(f"{what} cannot be read ({error.strerror}): see to {path}.") from error
    if len(content) > _LARGEST:
        raise SecretError(f"{what} is larger than 64 KiB: {path} must hold the secret only.")
    return _Read(_stamp(status), content)


def _stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _safe(name: str) -> str:
    """A name as it may be shown: one that is no name could be a secret put in the wrong place."""
    return name if _FILE_NAME.fullmatch(name) and len(name) <= 40 else "..."
