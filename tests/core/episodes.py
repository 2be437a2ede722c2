"""A small hand-driven instance: feed events, look at what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import Any

from durable_core.core.episode import Episode, Outgoing, run_episode
from durable_core.core.history import (
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    TaskCompleted,
    TaskFailed,
)
from durable_core.core.replay import OrchestrationRun, Orchestrator
from durable_core.core.state import RuntimeState

Body = Callable[[OrchestrationRun], Any]


def decode(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def encode(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def call(run: OrchestrationRun, name: str, argument: Any = None) -> Any:
    return run.call_activity(name, json.dumps([argument]), decode)


class Instance:
    """One instance of ``body``, driven episode by episode; ``replays`` throws the cached execution away each time."""

    def __init__(self, body: Body, *, replays: bool = False) -> None:
        self.orchestrator = Orchestrator("under_test", body, encode, str)
        self.state = RuntimeState()
        self.run: OrchestrationRun | None = None
        self.replays = replays
        self.now = 0
        self.sent: list[Outgoing] = []
        """Every message that the instance has sent."""

    def start(self, *more: HistoryEvent, input: str | None = None) -> Episode:
        start = ExecutionStarted(
            timestamp=1, instance=OrchestrationInstance("i", "e1"), name="under_test", input=input, generation=0
        )
        return self.feed(start, *more)

    def feed(self, *events: HistoryEvent) -> Episode:
        self.now += 1000
        if self.replays:
            self.run = None
        episode, self.run = run_episode(self.state, self.run, self.orchestrator, events, now=self.now)
        self.state = episode.state
        self.sent.extend(episode.outgoing)
        return episode

    @property
    def end(self) -> ExecutionCompleted:
        assert self.state.completed is not None, "the instance is still running"
        return self.state.completed

    def output(self) -> Any:
        return decode(self.end.result)


def kinds(episode: Episode) -> list[str]:
    return [type(event).__name__ for event in episode.events]


def done(task_id: int, value: Any = None) -> TaskCompleted:
    return TaskCompleted(timestamp=5, task_scheduled_id=task_id, result=encode(value))


def failed(task_id: int, reason: str) -> TaskFailed:
    return TaskFailed(timestamp=5, task_scheduled_id=task_id, reason=reason)


Steps = Generator[Any, Any, Any]


def raised(name: str, value: Any = None, timestamp: int = 7) -> EventRaised:
    return EventRaised(timestamp=timestamp, name=name, input=encode(value))
