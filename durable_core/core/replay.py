"""SKELETON of the interface; the body follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from durable_core.core.history import HistoryEvent
from durable_core.core.tasks import TaskBase, TimerTask

Decode = Callable[[str | None], Any]


@dataclass(frozen=True, slots=True)
class Orchestrator:
    """An orchestrator function behind its programming model."""

    name: str
    start: Callable[[OrchestrationRun], Any]
    """Calls the user's function; a generator is driven, anything else is the output."""
    encode_output: Callable[[Any], str | None]
    """JSON text of the returned value; raises SerializationError."""
    describe_failure: Callable[[BaseException], str]
    """Text of the failed instance's Output for an exception that left the function."""


class OrchestrationRun(Protocol):
    """What a context may ask of the machine that runs its orchestrator."""

    instance_id: str
    execution_id: str
    name: str
    version: str | None
    parent_instance_id: str | None
    input: str | None
    custom_status: str | None
    is_replaying: bool
    current_time: int
    histories: Sequence[HistoryEvent]

    def next_guid_number(self) -> int: ...
    def call_activity(self, name: str, input: str | None, decode: Decode) -> TaskBase: ...
    def create_timer(self, fire_at: int) -> TimerTask: ...
    def wait_for_event(self, name: str, decode: Decode) -> TaskBase: ...
