"""What the console signs: the cookie of a session, and the token of each form. Pure.

itsdangerous signs and dates; nothing is kept here, so a restart under the same token ends nobody's
session, and another token ends all of them.
"""

import hmac
import secrets
from hashlib import blake2b, sha256
from typing import Final, NamedTuple

from itsdangerous import BadSignature, URLSafeTimedSerializer

LIFE_S: Final = 12 * 3600


class Session(NamedTuple):
    name: str
    id: str


def signing_key(token: str | None) -> bytes:
    """The same for the same token; a fresh one without."""
    if token is None:
        return secrets.token_bytes(32)
    return blake2b(token.encode(), person=b"hooklane-console", digest_size=32).digest()


class Sessions:
    def __init__(self, key: bytes) -> None:
        self._signer = _serializer(key, "session")

    def begin(self, name: str) -> str:
        """A cookie's value."""
        return str(self._signer.dumps([name, secrets.token_urlsafe(16)]))

    def read(self, cookie: str) -> Session | None:
        """None: forged, too old, or none of ours."""
        try:
            name, session = self._signer.loads(cookie, max_age=LIFE_S)
        except (BadSignature, ValueError, TypeError):
            return None
        return Session(str(name), str(session))


class FormTokens:
    """One a form: it fits this session and this action, and no other."""

    def __init__(self, key: bytes) -> None:
        self._signer = _serializer(key, "form")

    def make(self, session: str, action: str) -> str:
        """`action`: the path that the form is posted to."""
        return str(self._signer.dumps(_bound(session, action)))

    def fits(self, session: str, action: str, given: str) -> bool:
        try:
            found = self._signer.loads(given, max_age=LIFE_S)
        except (BadSignature, ValueError):
            return False
        return isinstance(found, str) and hmac.compare_digest(found, _bound(session, action))


def _bound(session: str, action: str) -> str:
    return blake2b(f"{session}\0{action}".encode(), digest_size=16).hexdigest()


def _serializer(key: bytes, salt: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        key, salt=f"hooklane-console-{salt}", signer_kwargs={"digest_method": sha256}
    )
