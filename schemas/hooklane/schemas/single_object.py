"""Avro's single-object encoding: two marker bytes, the schema's fingerprint, the datum.

Avro specification 1.12, "Single-object encoding" and "Schema fingerprints".
"""

from typing import Any, Final

import fastavro

MARKER: Final = b"\xc3\x01"
HEADER: Final = len(MARKER) + 8
"""Bytes before the datum."""


def fingerprint(schema: Any) -> bytes:
    """The CRC-64-AVRO of the schema's canonical form, little-endian, as it stands in a record."""
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    return bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
