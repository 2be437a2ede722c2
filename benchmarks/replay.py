"""What replaying one past activity costs, its history already decoded."""

from __future__ import annotations

import time

from benchmarks.app import app
from durable_core.core.episode import run_episode
from durable_core.core.history import (
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    TaskCompleted,
    TaskScheduled,
)
from durable_core.core.replay import OrchestrationRun
from durable_core.core.state import RuntimeState


def replay_cost(activities: int = 2000, rounds: int = 5) -> float:
    """Seconds per activity of a sequence, the best of some rounds."""
    orchestrator = app.durable_functions().orchestrators["sequence"]
    state, run = RuntimeState(), None
    start = ExecutionStarted(
        timestamp=1, instance=OrchestrationInstance("bench", "e"), name="sequence", input=str(activities)
    )
    received: list[HistoryEvent] = [start]
    while not state.is_finished:
        episode, run = run_episode(state, run, orchestrator, received, now=1)
        received = [
            TaskCompleted(timestamp=1, task_scheduled_id=sent.message.event.event_id, result='"Hello!"')
            for sent in episode.outgoing
            if isinstance(sent.message.event, TaskScheduled)
        ]
    history = state.events[:-3]
    best = float("inf")
    for _ in range(rounds):
        replayed = OrchestrationRun(orchestrator, history)
        begin = time.perf_counter()
        replayed.feed(history, replaying=True)
        best = min(best, time.perf_counter() - begin)
    return best / activities
