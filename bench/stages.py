"""Which stage of a delivery a stack belongs to. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_FRAME = re.compile(r"(?P<function>.*) \((?P<file>[^()]*?)(?::[0-9]+)?\)")


class Stage(StrEnum):
    """In the order in which a delivery passes them."""

    KAFKA = "librdkafka's threads"
    CONSUME = "consume (poll thread)"
    DECODE = "decode"
    MATCH = "match"
    ADMIT = "admit (lane ids, ledger)"
    SCHEDULE = "schedule"
    SIGN = "sign"
    SEND = "send"
    LOOP = "event loop (epoll, reading sockets)"
    RECEIVE = "receive"
    SETTLE = "settle"
    METRICS = "metrics"
    COMMIT = "commit (transaction, records)"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Frame:
    """One function of a stack. `file` as py-spy shortens it, such as `hooklane/fanout/match.py`."""

    function: str
    file: str

    @classmethod
    def read(cls, text: str) -> "Frame":
        found = _FRAME.fullmatch(text)
        return cls(text, "") if found is None else cls(found["function"], found["file"])

    @property
    def named(self) -> str:
        return f"{self.function} ({self.file.removeprefix('hooklane/')})"


_FILES = (
    (r"prometheus_client/|runtime/metrics", Stage.METRICS),
    (
        r"fanout/(commit|writer|transaction|redirect)\.py|schemas/(codec|records|topics)",
        Stage.COMMIT,
    ),
    (r"fanout/match|fanout/subscribed|schemas/filters", Stage.MATCH),
    (r"schemas/(decode|cloudevents|event)|fanout/intake", Stage.DECODE),
    (r"fanout/(partition|ledger)|schemas/lane", Stage.ADMIT),
    (r"delivery/signing|runtime/secrets|delivery/asked", Stage.SIGN),
    (r"delivery/(request|payload|headers|target|tracing)|engine/(wire|pool|native)", Stage.SEND),
    (r"engine/(connection|reply)|delivery/outcome", Stage.RECEIVE),
    (r"fanout/(settle|rules)|delivery/retry|schemas/subscription", Stage.SETTLE),
    (r"fanout/(schedule|gate|lanes|dispatch|fence|process|owned|service|window)", Stage.SCHEDULE),
    (r"fanout/consume", Stage.CONSUME),
)
_BY_FILE = tuple((re.compile(pattern), stage) for pattern, stage in _FILES)

# Files that more than one stage passes through: there the function says which.
_BY_FUNCTION = {
    ("connection.py", "send"): Stage.SEND,
    ("reply.py", "begin"): Stage.SEND,
    ("native.py", "end"): Stage.RECEIVE,
    ("native.py", "_leave"): Stage.RECEIVE,
    ("native.py", "give_back"): Stage.RECEIVE,
    ("pool.py", "put"): Stage.RECEIVE,
    ("attempt.py", "start"): Stage.SEND,
    ("attempt.py", "_request"): Stage.SEND,
    ("attempt.py", "_signer"): Stage.SIGN,
    ("attempt.py", "exchanged"): Stage.SETTLE,
    ("attempt.py", "_end"): Stage.SETTLE,
    ("attempt.py", "_record"): Stage.SETTLE,
    ("dispatch.py", "_ended"): Stage.SETTLE,
    ("dispatch.py", "_settle"): Stage.SETTLE,
    ("dispatch.py", "_draft_of"): Stage.SETTLE,
    ("ledger.py", "settle"): Stage.SETTLE,
    ("ledger.py", "state"): Stage.COMMIT,
    ("ledger.py", "_settled_spans"): Stage.COMMIT,
    ("ledger.py", "_partials"): Stage.COMMIT,
    ("redirect.py", "settle"): Stage.SETTLE,
    ("redirect.py", "attempted"): Stage.SETTLE,
    ("service.py", "_changed"): Stage.SETTLE,
    ("commit.py", "changed"): Stage.SETTLE,
    ("window.py", "shrunk"): Stage.SETTLE,
}
_THREADS = (
    (re.compile("rdk:"), Stage.KAFKA),
    (re.compile("poll"), Stage.CONSUME),
    (re.compile("transaction"), Stage.COMMIT),
)


def stage_of(thread: str, frames: Sequence[Frame]) -> Stage:
    """By the thread where it does one thing only, else by the innermost frame that is known."""
    for pattern, stage in _THREADS:
        if pattern.match(thread):
            return stage
    for frame in reversed(frames):
        known = _stage_of_frame(frame)
        if known is not None:
            return known
    in_loop = any("uvloop" in frame.file or frame.function == "run_fanout" for frame in frames)
    return Stage.LOOP if in_loop or thread == "MainThread" else Stage.OTHER


def _stage_of_frame(frame: Frame) -> Stage | None:
    by_function = _BY_FUNCTION.get(
        (frame.file.rpartition("/")[2], frame.function.rpartition(".")[2])
    )
    if by_function is not None:
        return by_function
    return next((stage for pattern, stage in _BY_FILE if pattern.search(frame.file)), None)
