"""What librdkafka's opaque group metadata says, as far as we have to know it."""

import struct

_GENERATION = struct.Struct("=7si")


def generation(metadata: bytes) -> int:
    """The generation in librdkafka's opaque group metadata: after a marker, an int32.

    Raises:
        ValueError: the marker is not the one known; better to stop than to commit unfenced.
    """
    if len(metadata) < _GENERATION.size:
        raise ValueError(f"unknown group metadata {metadata!r}: too short")
    marker, number = _GENERATION.unpack_from(metadata)
    if marker != b"CGMDv2:":
        raise ValueError(f"unknown group metadata {metadata[:7]!r} from this librdkafka")
    return int(number)
