"""Which messages an entity has received lately, so that none takes effect twice.

Labels recognise the copies of a message, but clients send without labels, and a sender that repeats an uncommitted
episode labels anew. So an entity also remembers the ids of what it received. The text of this memory is written with
the checkpoint, next to the sentinel's own columns, where a .NET reader does not look.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

from durable_core.core.ticks import PER_SECOND

KEPT_FOR = 1800 * PER_SECOND
"""Ticks after which an id is forgotten; messages are hidden for seconds or minutes when something goes wrong."""
LONGEST = 16_000
"""Characters of the text: about a thousand ids, many more when they came in large batches."""

_MOST = 1400
"""Ids of one batch that fit into that."""

_LOCK = "lock"
_SIZE = 8
_TIME_DIGITS = 16


def _short(message_id: str) -> bytes:
    return hashlib.blake2b(message_id.casefold().encode(errors="backslashreplace"), digest_size=_SIZE).digest()


def _length(ids: int) -> int:
    return _TIME_DIGITS + 1 + 4 * -(-ids * _SIZE // 3)


@dataclass(slots=True)
class _Batch:
    """Shortened ids that arrived together at ``received`` ticks."""

    received: int
    ids: list[bytes]


@dataclass(slots=True)
class Receipts:
    """Ids of received messages, oldest first.

    Attributes:
        lock_id: of the lock request by which the entity is locked, if it is known. The scheduler's own state names the
            owner alone, and a release of its last critical section may come when it has locked once more.
        generation: execution id of the generation for which ``lock_id`` holds: another runtime may have gone on.
    """

    lock_id: str | None = None
    generation: str | None = None
    _batches: list[_Batch] = field(default_factory=list)
    _known: set[bytes] = field(default_factory=set)

    def __contains__(self, message_id: object) -> bool:
        return _short(str(message_id)) in self._known

    def __len__(self) -> int:
        return len(self._known)

    def add(self, message_id: str, now: int) -> bool:
        """Remember an id; False if it is known already."""
        short = _short(message_id)
        if short in self._known:
            return False
        self._known.add(short)
        if self._batches and self._batches[-1].received == now:
            self._batches[-1].ids.append(short)
        else:
            self._batches.append(_Batch(now, [short]))
        return True

    def tidy(self, now: int) -> None:
        """Forget what is old, and the oldest of what is too much; the newest batch always stays."""
        kept: list[_Batch] = []
        length = 0
        for batch in reversed(self._batches):
            length += _length(min(len(batch.ids), _MOST))
            if kept and (length > LONGEST or batch.received + KEPT_FOR < now):
                self._known.difference_update(batch.ids)
            else:
                kept.append(batch)
        self._batches = kept[::-1]

    def encode(self) -> str:
        """Text for a table column: the lock, and per batch its time and ids; empty if nothing is remembered.

        A batch that alone is too long is cut to its newest ids.
        """
        parts = [] if self.lock_id is None else [f"{_LOCK} {self.lock_id} {self.generation}"]
        parts += (
            f"{batch.received:0{_TIME_DIGITS}x}{base64.b64encode(b''.join(batch.ids[-_MOST:])).decode()}"
            for batch in self._batches
        )
        return ";".join(parts)

    @classmethod
    def decode(cls, text: str | None) -> Receipts:
        """Read a column; what cannot be read is not remembered."""
        receipts = cls()
        for part in (text or "").split(";"):
            if part.startswith(f"{_LOCK} "):
                _, receipts.lock_id, receipts.generation = part.split(" ", 2)
                continue
            try:
                received = int(part[:_TIME_DIGITS], 16)
                packed = base64.b64decode(part[_TIME_DIGITS:], validate=True)
            except ValueError:
                continue
            ids = [packed[start : start + _SIZE] for start in range(0, len(packed) - _SIZE + 1, _SIZE)]
            receipts._batches.append(_Batch(received, ids))
            receipts._known.update(ids)
        return receipts
