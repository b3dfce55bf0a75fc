"""W3C Trace Context: which `traceparent` and `tracestate` may be passed on.

Level 2 of the recommendation, sections 3.2 and 3.3. A receiver starts a new trace when it gets a
broken one, so a broken one is as good as none and is not carried along.
"""

import re
from typing import NamedTuple

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[ -~]*)?")
_LONGEST_PARENT = 256
_MEMBER = re.compile(
    r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)
_MOST_MEMBERS = 32
_LONGEST_STATE = 4096


class TraceContext(NamedTuple):
    """A good `traceparent`, and its `tracestate` where that is good too. Or neither."""

    traceparent: str | None
    tracestate: str | None


NO_TRACE = TraceContext(None, None)


def is_traceparent(text: str) -> bool:
    found = _PARENT.fullmatch(text)
    if found is None or len(text) > _LONGEST_PARENT:
        return False
    version, trace, span, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):
        return False
    return trace.strip("0") != "" and span.strip("0") != ""


def is_tracestate(text: str) -> bool:
    if not text or len(text) > _LONGEST_STATE:
        return False
    members = [one for part in text.split(",") if (one := part.strip(" \t"))]
    keys = {member.partition("=")[0] for member in members}
    return (
        0 < len(members) <= _MOST_MEMBERS
        and len(keys) == len(members)
        and all(map(_MEMBER.fullmatch, members))
    )


def trace_context(traceparent: str | None, tracestate: str | None) -> TraceContext:
    """What is good of the two; a `tracestate` counts only beside a good `traceparent`."""
    if traceparent is None or not is_traceparent(traceparent):
        return NO_TRACE
    if tracestate is None or not is_tracestate(tracestate):
        return TraceContext(traceparent, None)
    return TraceContext(traceparent, tracestate)
