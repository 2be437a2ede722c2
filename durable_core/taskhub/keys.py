"""Keys of table rows (task-hub 4.1)."""

from __future__ import annotations

import re
from functools import lru_cache

SENTINEL = "sentinel"
"""Row key of the row that locks a history; it sorts behind all event rows."""

_SPECIAL = {"^": "^^", "/": "^0", "\\": "^1", "#": "^2", "?": "^3"}
_SHIFT = 0xC0
_TO_ESCAPE = re.compile(r"[\^/\\#?\x00-\x1f\x7f-\x9f]")
_TO_UNESCAPE = re.compile(r"\^(.)", re.DOTALL)
_BACK = {"^": "^", "0": "/", "1": "\\", "2": "#", "3": "?"}


@lru_cache(maxsize=4096)
def escape_key(instance_id: str) -> str:
    """Partition key of an instance id, which every write of the instance needs."""
    if _TO_ESCAPE.search(instance_id) is None:
        return instance_id
    return _TO_ESCAPE.sub(lambda found: _SPECIAL.get(found[0]) or "^" + chr(ord(found[0]) + _SHIFT), instance_id)


def unescape_key(key: str) -> str:
    """Instance id of a partition key."""

    def back(found: re.Match[str]) -> str:
        char = found[1]
        if char in _BACK:
            return _BACK[char]
        return chr(ord(char) - _SHIFT) if ord(char) >= _SHIFT else char

    return _TO_UNESCAPE.sub(back, key)


def row_key(position: int) -> str:
    """Row key of the event at ``position`` in its generation: 16 upper-case hex digits."""
    return f"{position:016X}"


def quote(text: str) -> str:
    """An OData string literal."""
    return "'" + text.replace("'", "''") + "'"
