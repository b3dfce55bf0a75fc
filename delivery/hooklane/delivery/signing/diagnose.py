"""Why a request does not verify: headers, body and secrets, looked at from all sides. Pure.

For a person who has them all before him: a receiver needs no more than `verify`. What nearly fits
tells the cause: the signature is right over another writing of the body, over another id, with
another form of the secret, or at another time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from hooklane.delivery.signing.candidates import (
    Candidate,
    fault,
    other_keys,
    own_keys,
    versions,
)
from hooklane.delivery.signing.claims import CLAIMS, Claim, ClaimError, Headers
from hooklane.delivery.signing.rewritten import rewritten
from hooklane.delivery.signing.verify import TOLERANCE_S


class Verdict(StrEnum):
    """What is the matter with a request."""

    GENUINE = "genuine"
    MISSING_HEADER = "missing-header"
    MALFORMED_HEADER = "malformed-header"
    UNUSABLE_KEY = "unusable-secret"
    MISSING_PREFIX = "missing-prefix"
    """The secret that is given lacks its `whsec_`, and the sender took it with it."""
    OTHER_FORM = "secret-form"
    """The right secret, its text taken where its base64 is meant, or the other way round."""
    CLOCK_SKEW = "clock-skew"
    """Genuine, but too old or of a time to come."""
    BODY_RESERIALISED = "body-reserialised"
    BODY_CHANGED = "body-changed"
    WRONG_ID = "wrong-id"
    NO_MATCH = "wrong-secret"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`said`: what was found, `todo`: what to do, without full stops and without secrets.

    `secret`: which of those given made the signature, from 1. `age_s`: of the timestamp.
    """

    verdict: Verdict
    said: str
    todo: str = ""
    secret: int | None = None
    webhook_id: str | None = None
    age_s: float | None = None

    @property
    def genuine(self) -> bool:
        """Whether a receiver should take the request."""
        return self.verdict is Verdict.GENUINE


_IDS: Final = ("ce-id", "idempotency-key", "x-request-id", "x-webhook-id", "svix-id")
"""Headers that are taken for the webhook's id."""


class Diagnoser:
    """`scheme`: a word of `signing.scheme`; `secrets`: as they are written; `tolerance_s`: how far
    the timestamp may be from the arrival."""

    def __init__(
        self, scheme: str, secrets: Sequence[bytes], tolerance_s: float = TOLERANCE_S
    ) -> None:
        self._name = scheme
        self._scheme = CLAIMS[scheme]
        self._secrets = [secret.strip() for secret in secrets]
        self._tolerance_s = tolerance_s

    def diagnose(self, headers: Headers, body: bytes, now_s: float) -> Diagnosis:
        """The cause. `headers`: names in lower case; `now_s`: when it arrived, since the epoch."""
        try:
            claim = self._scheme.read(headers)
        except ClaimError as error:
            word = Verdict.MISSING_HEADER if error.missing else Verdict.MALFORMED_HEADER
            return Diagnosis(word, str(error), "see that nothing on the way drops or edits headers")
        age_s = None if claim.timestamp is None else now_s - claim.timestamp
        found = self._judged(claim, headers, body, age_s)
        return replace(found, webhook_id=claim.webhook_id or None, age_s=age_s)

    def _judged(
        self, claim: Claim, headers: Headers, body: bytes, age_s: float | None
    ) -> Diagnosis:
        own = list(own_keys(self._name, self._secrets))
        maker = self._maker(own, claim, claim.webhook_id, body)
        if maker is not None:
            return self._timely(maker, age_s)
        maker = self._maker(other_keys(self._name, self._secrets), claim, claim.webhook_id, body)
        if maker is not None:
            return _other_form(maker)
        return (
            self._of_another_body(own, claim, body)
            or self._of_another_id(own, claim, headers, body)
            or self._unusable()
            or self._unlike(claim, headers, body)
        )

    def _maker(
        self, keys: Iterable[Candidate], claim: Claim, webhook_id: str, body: bytes
    ) -> Candidate | None:
        content = self._scheme.content(webhook_id, claim.timestamp or 0, body)
        return next((one for one in keys if one.key.fits(claim, content)), None)

    def _timely(self, maker: Candidate, age_s: float | None) -> Diagnosis:
        if age_s is None or abs(age_s) <= self._tolerance_s:
            return self._genuine(maker)
        when = f"{age_s:.0f} s old" if age_s > 0 else f"{-age_s:.0f} s ahead"
        return Diagnosis(
            Verdict.CLOCK_SKEW,
            f"the signature is right, but its timestamp is {when}, and {self._tolerance_s:.0f} s "
            "are allowed",
            "synchronise the receiver's clock, and verify at arrival, before any queue; of a "
            "request of the past say when it arrived",
            maker.place,
        )

    def _genuine(self, maker: Candidate) -> Diagnosis:
        bare = not self._secrets[maker.place - 1].startswith((b"whsec_", b"whsk_", b"whpk_"))
        if self._name == "standard" and bare:
            said = "the signature is right; the secret lacks its whsec_"
            todo = "keep it with whsec_: some libraries take it for text without"
            return Diagnosis(Verdict.GENUINE, said, todo, maker.place)
        return Diagnosis(Verdict.GENUINE, "the signature is right", secret=maker.place)

    def _of_another_body(
        self, keys: Sequence[Candidate], claim: Claim, body: bytes
    ) -> Diagnosis | None:
        for one in rewritten(body):
            maker = self._maker(keys, claim, claim.webhook_id, one.body)
            if maker is None:
                continue
            if one.as_json:
                word, what = Verdict.BODY_RESERIALISED, "the same JSON, written anew"
            else:
                word, what = Verdict.BODY_CHANGED, "not the bytes that were sent"
            return Diagnosis(
                word,
                f"the body is {what}: what was signed is {one.how}",
                "verify the bytes as they came, before a framework parses them",
                maker.place,
            )
        return None

    def _of_another_id(
        self, keys: Sequence[Candidate], claim: Claim, headers: Headers, body: bytes
    ) -> Diagnosis | None:
        if not self._scheme.signs_id:
            return None
        for name in _IDS:
            if name not in headers:
                continue
            maker = self._maker(keys, claim, headers[name], body)
            if maker is not None:
                return Diagnosis(
                    Verdict.WRONG_ID,
                    f"the webhook-id is another one: what was signed has the value of {name}",
                    "hand on webhook-id as it came",
                    maker.place,
                )
        return None

    def _unusable(self) -> Diagnosis | None:
        if not self._secrets:
            return Diagnosis(Verdict.UNUSABLE_KEY, "no secret is given", "give the one that signs")
        said = fault(self._secrets) if self._name == "standard" else None
        if said is None:
            return None
        return Diagnosis(Verdict.UNUSABLE_KEY, said, "give it as the sender has it, with whsec_")

    def _unlike(self, claim: Claim, headers: Headers, body: bytes) -> Diagnosis:
        """Nothing fits: what still tells the body from the secret is the length that was sent."""
        length = headers.get("content-length", "").strip()
        if length.isdecimal() and int(length) != len(body):
            return Diagnosis(
                Verdict.BODY_CHANGED,
                f"the body has {len(body)} bytes, and content-length says {length}",
                "verify the bytes as they came, before anything parses or decodes them",
            )
        there = {"v1": claim.shared, "v1a": claim.signed}
        if self._name == "standard" and not any(there[one] for one in versions(self._secrets)):
            made = " and ".join(name for name, found in there.items() if found)
            return Diagnosis(
                Verdict.NO_MATCH,
                f"the signature is {made}, which a secret of this kind cannot check",
                "v1 needs the whsec_ secret, v1a the whpk_ public key",
            )
        return Diagnosis(
            Verdict.NO_MATCH,
            "it was signed with another secret, or another body or id was signed",
            "compare the secret with the sender's, also which environment's it is, and whether "
            "it was rotated",
        )


def _other_form(maker: Candidate) -> Diagnosis:
    word = Verdict.MISSING_PREFIX if maker.prefixed else Verdict.OTHER_FORM
    todo = (
        "take the secret whole, with whsec_, as the sender does"
        if maker.prefixed
        else "let both sides take it in one way: Standard Webhooks the bytes of the base64 behind "
        "whsec_, the other schemes the text, prefix and all"
    )
    said = f"the secret is right, and was taken in another way: the sender used {maker.form}"
    return Diagnosis(word, said, todo, maker.place)
