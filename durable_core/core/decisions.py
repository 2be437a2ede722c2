"""What an orchestrator decides: the actions that an episode turns into events and messages (semantics 2.1, 3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from durable_core.core.history import OrchestrationStatus


@dataclass(slots=True)
class Decision:
    """One numbered action; ``id`` becomes the ``event_id`` of the history event that records it."""

    id: int


@dataclass(slots=True)
class ScheduleTask(Decision):
    name: str
    input: str | None = None
    version: str = ""
    tags: Mapping[str, str] | None = None


@dataclass(slots=True)
class CreateTimer(Decision):
    fire_at: int


@dataclass(slots=True)
class Complete(Decision):
    """The end of the instance; ``result`` is its output, or the bare text of its failure or termination."""

    status: OrchestrationStatus
    result: str | None = None
