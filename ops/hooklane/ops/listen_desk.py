"""Takes one request after the other: verifies, judges the order, decides the answer, reports."""

import time
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from hooklane.ops.listen_answer import ACCEPTED, NOT_GENUINE, FailurePlan
from hooklane.ops.listen_order import Order, OrderCheck, Place
from hooklane.ops.listen_request import Arrived, arrived
from hooklane.ops.listen_verify import SignatureCheck
from hooklane.ops.output import Row


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a status, and for a person who looks why; or the headers and body that
    somebody else answered with. `fault`: why that one did not answer, as a word and a sentence."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class _Judged:
    """A request, and what is known of it before it is answered. `cause`: why it is not genuine."""

    request: Arrived
    now: float
    verified: bool | None
    cause: str | None
    place: Place | None
    answer: Answer


def is_accepted(status: int) -> bool:
    """Whether a sender takes it as delivered."""
    return 200 <= status <= 299


class Desk:
    """`check_for` gives what judges requests to a path, None where nothing is to be verified;
    `show` is called with a row for each request; `body_limit` shortens the body in it. With
    `strict` off what is not genuine is said to be so, and treated like the rest."""

    def __init__(
        self,
        check_for: Callable[[str], SignatureCheck | None],
        plan: FailurePlan,
        show: Callable[[Row], None],
        body_limit: int | None,
        *,
        strict: bool = True,
    ) -> None:
        self._strict = strict
        self._check_for = check_for
        self._plan = plan
        self._show = show
        self._body_limit = body_limit
        self._order = OrderCheck()
        self._counts: Counter[str] = Counter()

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request and show it."""
        judged = self._judge(path, headers, body)
        return self._answered(judged, judged.answer)

    async def take_by(
        self,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        ask: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """The same; what would be accepted is answered by `ask`."""
        judged = self._judge(path, headers, body)
        asked = is_accepted(judged.answer.status)
        return self._answered(judged, await ask() if asked else judged.answer)

    def _judge(self, path: str, headers: Mapping[str, str], body: bytes) -> _Judged:
        now = time.time()
        request = arrived(path, headers, body)
        check = self._check_for(path)
        cause = None if check is None else check.cause(headers, body, now)
        verified = None if check is None else cause is None
        # What is not genuine says nothing about the order.
        place = self._place(request) if cause is None else None
        if cause is not None and self._strict:
            return _Judged(request, now, verified, cause, place, Answer(NOT_GENUINE, cause))
        status = self._plan.answer(request)
        reason = "" if status == ACCEPTED else "told to fail"
        return _Judged(request, now, verified, cause, place, Answer(status, reason))

    def _answered(self, judged: _Judged, answer: Answer) -> Answer:
        if judged.cause is None:
            self._remember(judged.request, answer.status)
        self._count(judged, answer)
        self._show(
            {
                "time": datetime.fromtimestamp(judged.now, UTC),
                "status": answer.status,
                "verified": judged.verified,
                "cause": judged.cause or answer.fault,
                "order": None if judged.place is None else _order_text(judged.place),
                **_facts(judged.request, self._body_limit),
            }
        )
        return answer

    def summary(self) -> str:
        """One sentence on all requests so far."""
        parts = [f"{self._counts['requests']} requests", f"{self._counts['accepted']} accepted"]
        words = (
            "not genuine",
            "failed on request",
            "failed behind",
            *(one for one in Order if one != Order.NEXT),
        )
        parts += [f"{self._counts[word]} {word}" for word in words if self._counts[word]]
        return ", ".join(parts) + "."

    def _place(self, request: Arrived) -> Place | None:
        lane, sequence = request.lane, request.sequence
        if lane is None or sequence is None:
            return None
        return self._order.place(lane, sequence, request.webhook_id or "")

    def _remember(self, request: Arrived, status: int) -> None:
        lane, sequence = request.lane, request.sequence
        if lane is None or sequence is None:
            return
        if is_accepted(status):
            self._order.accepted(lane, sequence, request.webhook_id or "")
        else:
            self._order.refused(lane, sequence)

    def _count(self, judged: _Judged, answer: Answer) -> None:
        self._counts["requests"] += 1
        if is_accepted(answer.status):
            self._counts["accepted"] += 1
        elif answer is not judged.answer:
            self._counts["failed behind"] += 1
        elif judged.cause is None:
            self._counts["failed on request"] += 1
        if judged.cause is not None:
            self._counts["not genuine"] += 1
        if judged.place is not None:
            self._counts[judged.place.order] += 1


def _facts(request: Arrived, body_limit: int | None) -> Row:
    return {
        "webhook_id": request.webhook_id,
        "sequence": request.sequence,
        "attempt": request.attempt,
        "type": request.type,
        "key": request.key,
        "source": request.source,
        "replay": request.run,
        "path": request.path,
        "content_type": request.headers.get("content-type"),
        "body": _body(request.body, body_limit),
    }


def _order_text(place: Place) -> str:
    match place.order:
        case Order.OVERTAKING:
            return f"overtaking {place.other}"
        case Order.BROKEN:
            return f"broken: after {place.other}"
        case _:
            return place.order.value


def _body(body: bytes, limit: int | None) -> str:
    """As text; in base64 if it is none. Shortened where there is a limit."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "base64:" + b64encode(body).decode()
    if limit is not None and len(text) > limit:
        return text[: limit - 1] + "…"
    return text
