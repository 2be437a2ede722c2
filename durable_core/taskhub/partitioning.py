"""Which control queue serves which instance: FNV-1a over the UTF-8 bytes of the instance id (task-hub 2)."""

from __future__ import annotations

from functools import lru_cache

_OFFSET = 0x811C9DC5
_PRIME = 0x01000193


def fnv1a(text: str) -> int:
    """32-bit FNV-1a hash; an unpaired surrogate counts as U+FFFD, as in .NET."""
    value = _OFFSET
    known = text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    for byte in known.encode():
        value = ((value ^ byte) * _PRIME) & 0xFFFFFFFF
    return value


@lru_cache(maxsize=8192)
def partition_of(instance_id: str, partition_count: int) -> int:
    """Index of the instance's control queue. No folding, trimming or escaping is applied to the id."""
    return fnv1a(instance_id) % partition_count
