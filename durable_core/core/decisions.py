"""What an orchestrator decides: the actions that an episode turns into events and messages (semantics 2.1, 3.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from durable_core.core.history import FailureDetails, HistoryEvent, OrchestrationStatus


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
class StartSubOrchestration(Decision):
    """A child; ``version`` None means the default one. With ``is_detached`` it never answers (fire and forget)."""

    name: str
    instance_id: str
    input: str | None = None
    version: str | None = None
    is_detached: bool = False


@dataclass(slots=True)
class SendEvent(Decision):
    """An external event for another instance; ``due`` (ticks) delays it."""

    instance_id: str
    name: str
    input: str | None = None
    due: int | None = None


@dataclass(slots=True)
class Complete(Decision):
    """The end of the instance or, with status ContinuedAsNew, of this generation.

    Attributes:
        result: output; the bare text of a failure or termination; input of the next generation.
        carried: events that the next generation receives (semantics 7.4).
        version: version of the next generation, None for the same.
    """

    status: OrchestrationStatus
    result: str | None = None
    failure_details: FailureDetails | None = None
    carried: Sequence[HistoryEvent] = ()
    version: str | None = None
