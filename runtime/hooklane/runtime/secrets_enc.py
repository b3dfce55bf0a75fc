"""`enc:v1:` references: a secret encrypted under a key that only the services hold.

    enc:v1:<key id>:<base64url of a 12-byte nonce, the ciphertext and its 16-byte tag>

AES-256-GCM (NIST SP 800-38D); everything before the last colon is authenticated with it, so that
a text cannot be passed off as another version or key. The key id is a digest of the key: it tells
which key is missing, and of several keys, while they are rotated, which one to take.
"""

import base64
import binascii
import os
import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hooklane.runtime.errors import SecretError

PREFIX: Final = "enc:v1:"
KEY_BYTES: Final = 32

_NONCE: Final = 12
# The body is at least a nonce and a tag: 28 bytes, which are 38 characters.
_SEALED: Final = re.compile(r"enc:v1:(?P<key>[0-9a-f]{8}):(?P<body>[A-Za-z0-9_-]{38,})")

_NOT_A_KEY: Final = "is not 32 bytes in base64: make one by `hooklane secrets generate-key`"
_NO_KEY: Final = (
    "There is no encryption key: make one by `hooklane secrets generate-key` and set "
    "HOOKLANE_SECRETS__ENCRYPTION_KEYS or HOOKLANE_SECRETS__ENCRYPTION_KEYS_FILE."
)


class EncryptionKeys:
    """The first encrypts, all decrypt."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._first = key_id(keys[0]) if keys else None
        self._by_id = {key_id(key): AESGCM(key) for key in keys}

    def __len__(self) -> int:
        return len(self._by_id)

    def encrypt(self, secret: bytes) -> str:
        """The reference to put into a subscription; another one at each call.

        Raises:
            SecretError: there is no key.
        """
        if self._first is None:
            raise SecretError(_NO_KEY)
        head = f"{PREFIX}{self._first}"
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._by_id[self._first].encrypt(nonce, secret, head.encode())
        return f"{head}:{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"

    def decrypt(self, reference: str) -> bytes:
        """The secret.

        Raises:
            SecretError: not such a reference, its key is not here, or it was altered.
        """
        found = _SEALED.fullmatch(reference)
        if found is None:
            raise SecretError(
                "An enc: secret is not what `hooklane secrets encrypt` printed: encrypt it again."
            )
        key = self._by_id.get(found["key"])
        if key is None:
            raise SecretError(
                f"An enc: secret was encrypted under key {found['key']}, which is not here: add "
                "that key to HOOKLANE_SECRETS__ENCRYPTION_KEYS, or encrypt the secret again."
            )
        body = found["body"]
        try:
            sealed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
            head = f"{PREFIX}{found['key']}".encode()
            return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], head)
        except (InvalidTag, binascii.Error) as error:
            raise SecretError(
                f"An enc: secret of key {found['key']} was altered or cut short: encrypt it again."
            ) from error

    def renewed(self, text: str) -> tuple[str, int]:
        """A text with every reference in it under the first key, and how many were not.

        Raises:
            SecretError: there is no key, or one that is needed is not here.
        """
        if self._first is None:
            raise SecretError(_NO_KEY)
        count = 0

        def renew(found: re.Match[str]) -> str:
            nonlocal count
            if found["key"] == self._first:
                return found[0]
            count += 1
            return self.encrypt(self.decrypt(found[0]))

        return _SEALED.sub(renew, text), count


def require_key(keys: EncryptionKeys) -> EncryptionKeys:
    """The keys, for who is about to ask a person for a secret.

    Raises:
        SecretError: there is none.
    """
    if not len(keys):
        raise SecretError(_NO_KEY)
    return keys


def key_id(key: bytes) -> str:
    """Eight hex digits that name a key and do not give it away."""
    return blake2b(key, digest_size=4, person=b"hooklane-enckey").hexdigest()


def read_key(text: str) -> bytes:
    """A key as settings and key files hold it: 32 bytes in base64.

    Raises:
        SecretError: it is not.
    """
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretError(f"An encryption key {_NOT_A_KEY}.") from error
    if len(key) != KEY_BYTES:
        raise SecretError(f"An encryption key {_NOT_A_KEY}.")
    return key
