"""What is kept of an entity between two batches (orchestration-semantics 9.4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from durable_core.core.entity_json import dumps, loads, text_member
from durable_core.core.entity_messages import RequestMessage
from durable_core.core.entity_sorter import MessageSorter
from durable_core.core.records import struct

_NULL = "null"


@dataclass(slots=True)
class SchedulerState:
    """The input of an entity's next generation.

    Attributes:
        state: the user's state as JSON text, None if there is none.
        exists: the entity exists. The extension believes this member alone, Core the presence of ``state``.
        queue: requests that wait for a lock or for the next batch, first in, first out.
        locked_by: instance id of the orchestration that holds the lock.
        is_suspended: only the extension sets it: nothing runs before a ``continue`` message.
    """

    state: str | None = None
    exists: bool = False
    queue: deque[RequestMessage] = field(default_factory=deque)
    locked_by: str | None = None
    is_suspended: bool = False
    sorter: MessageSorter = field(default_factory=MessageSorter)

    @property
    def is_empty(self) -> bool:
        """Nobody would miss the entity: it does not exist, is not locked, and nothing waits."""
        return not (self.exists or self.queue or self.locked_by or self.sorter.waiting)

    def encode(self) -> str:
        """The text that both .NET hosts read; ``exists`` stands there whenever the entity exists."""
        document: dict[str, Any] = {}
        if self.exists:
            document["exists"] = True
        if self.state is not None:
            document["state"] = self.state
        if self.queue:
            document["queue"] = [request.to_json() for request in self.queue]
        if self.locked_by is not None:
            document["lockedBy"] = self.locked_by
        if self.is_suspended:
            document["suspended"] = True
        document["sorter"] = self.sorter.to_json()
        return dumps(document)

    @classmethod
    def decode(cls, text: str | None) -> SchedulerState:
        """Read what any of the hosts wrote; None is an entity that never was.

        A record without ``exists`` is Core's, where a state is an existing entity, or the extension's of a deleted
        entity, whose state is then the text ``null`` at most (golden python-stack, ``@counter@k4``).

        Raises:
            ValueError: the text cannot be read.
        """
        if text is None:
            return cls()
        document = loads(text, "the entity's scheduler state")
        state = text_member(document, "state")
        exists = bool(document["exists"]) if "exists" in document else state is not None and state != _NULL
        queue = document.get("queue") or []
        sorter = document.get("sorter") or {}
        if not isinstance(queue, list) or not isinstance(sorter, Mapping):
            raise ValueError("the entity's scheduler state has a queue or sorter of the wrong type")
        return cls(
            state if exists else None,
            exists,
            deque(RequestMessage.of_json(request) for request in queue),
            text_member(document, "lockedBy"),
            bool(document.get("suspended")),
            MessageSorter.of_json(sorter),
        )


@struct
class EntityStatus:
    """The custom status of an entity: what can be known without reading its state."""

    exists: bool = False
    queue_size: int = 0
    locked_by: str | None = None

    @classmethod
    def of(cls, state: SchedulerState) -> EntityStatus:
        return cls(state.exists, len(state.queue), state.locked_by)

    def encode(self) -> str:
        document: dict[str, Any] = {}
        if self.exists:
            document["entityExists"] = True
        if self.queue_size:
            document["queueSize"] = self.queue_size
        if self.locked_by is not None:
            document["lockedBy"] = self.locked_by
        return dumps(document)

    @classmethod
    def decode(cls, text: str | None) -> EntityStatus:
        """Read a custom status column; one that is missing or no entity's says nothing."""
        try:
            document = loads(text, "the entity's status")
            locked_by = text_member(document, "lockedBy")
            size = document.get("queueSize")
        except ValueError:
            return cls()
        return cls(bool(document.get("entityExists")), size if isinstance(size, int) else 0, locked_by)
