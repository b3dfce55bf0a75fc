"""A webhook as it arrived: what its headers, or its structured body, say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from hooklane.ops.listen_order import LaneSeen
from hooklane.schemas.cloudevents_content_type import Mode, mode_of
from hooklane.schemas.event import read_json

_NUMBER = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request. Absent headers are None; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    webhook_id: str | None
    sequence: int | None
    attempt: int | None
    type: str | None
    source: str | None
    key: str | None
    run: str | None
    lane_id: str | None

    @property
    def lane(self) -> LaneSeen | None:
        """Its lane, or None: without a key or a sequence there is no order to keep.

        By `hooklane-lane` where the sender names it, else by what else can be seen of it.
        """
        if self.sequence is None:
            return None
        if self.lane_id is not None:
            return LaneSeen(self.path, "", self.lane_id, "")
        if self.key is None:
            return None
        return LaneSeen(self.path, self.source or "", self.key, self.run or "")


def arrived(path: str, headers: Mapping[str, str], body: bytes) -> Arrived:
    """Read a request; nothing in it makes this raise."""
    attributes = _attributes(headers, body)
    return Arrived(
        path=path,
        headers=headers,
        body=body,
        webhook_id=headers.get("webhook-id"),
        sequence=_number(headers.get("hooklane-sequence")),
        attempt=_number(headers.get("hooklane-attempt")),
        type=attributes.get("type"),
        source=attributes.get("source"),
        key=attributes.get("partitionkey"),
        run=headers.get("hooklane-replay"),
        lane_id=headers.get("hooklane-lane"),
    )


def _attributes(headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
    if mode_of(headers.get("content-type")) is Mode.STRUCTURED:
        document = read_json(body)
        if not isinstance(document, dict):
            return {}
        return {name: value for name, value in document.items() if isinstance(value, str)}
    # Percent-encoded, as the CloudEvents HTTP binding 1.0, section 3.1.3.2, has it.
    return {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None
