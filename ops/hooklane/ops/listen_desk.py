"""Takes one request after the other: verifies, judges the order, decides the answer, reports."""

import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from hooklane.ops.listen_answer import ACCEPTED, NOT_GENUINE, FailurePlan
from hooklane.ops.listen_order import Order, OrderCheck, Place
from hooklane.ops.listen_request import Arrived, arrived
from hooklane.ops.listen_verify import SignatureCheck
from hooklane.ops.output import Row


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a status, and for a person who looks why."""

    status: int
    reason: str


class Desk:
    """`check_for` gives what judges requests to a path, None where nothing is to be verified;
    `show` is called with a row for each request; `body_limit` shortens the body in it."""

    def __init__(
        self,
        check_for: Callable[[str], SignatureCheck | None],
        plan: FailurePlan,
        show: Callable[[Row], None],
        body_limit: int | None,
    ) -> None:
        self._check_for = check_for
        self._plan = plan
        self._show = show
        self._body_limit = body_limit
        self._order = OrderCheck()
        self._counts: Counter[str] = Counter()

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request and show it."""
        now = time.time()
        request = arrived(path, headers, body)
        check = self._check_for(path)
        cause = None if check is None else check.cause(headers, body, now)
        if cause is None:
            place = self._place(request)
            status = self._plan.answer(request)
            self._remember(request, status)
        else:
            # What is not genuine says nothing about the order.
            place, status = None, NOT_GENUINE
        self._count(status, cause, place)
        self._show(
            {
                "time": datetime.fromtimestamp(now, UTC),
                "status": status,
                "verified": None if check is None else cause is None,
                "cause": cause,
                "order": None if place is None else _order_text(place),
                **_facts(request, self._body_limit),
            }
        )
        return Answer(status, cause or ("told to fail" if status != ACCEPTED else ""))

    def summary(self) -> str:
        """One sentence on all requests so far."""
        parts = [f"{self._counts['requests']} requests", f"{self._counts['accepted']} accepted"]
        words = ("not genuine", "failed on request", *(one for one in Order if one != Order.NEXT))
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
        if status == ACCEPTED:
            self._order.accepted(lane, sequence, request.webhook_id or "")
        else:
            self._order.refused(lane, sequence)

    def _count(self, status: int, cause: str | None, place: Place | None) -> None:
        self._counts["requests"] += 1
        if status == ACCEPTED:
            self._counts["accepted"] += 1
        else:
            self._counts["failed on request" if cause is None else "not genuine"] += 1
        if place is not None:
            self._counts[place.order] += 1


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
