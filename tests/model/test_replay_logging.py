"""Logging from orchestrators: once, however often the code is replayed."""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import Any

import pytest

import durable_core as df
from durable_core.core import history as h
from durable_core.core.episode import run_episode
from durable_core.core.state import RuntimeState

logger = logging.getLogger("under_test")
app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def chatty(context: df.DurableOrchestrationContext) -> Generator[Any, Any, int]:
    log = context.create_replay_safe_logger(logger)
    log.info("begins %s", context.instance_id, extra={"step": 1})
    yield context.call_activity("a")
    log.warning("one done")
    yield context.call_activity("a")
    log.debug("not shown at this level")
    if log.isEnabledFor(logging.INFO):
        log.info("ends")
    return len(context.histories)


def test_every_line_is_logged_once_although_every_episode_replays(caplog: pytest.LogCaptureFixture) -> None:
    """Behaviour 17; and ``histories`` grows with the episodes."""
    orchestrator = app.durable_functions().orchestrators["chatty"]
    state = RuntimeState()
    start = h.ExecutionStarted(timestamp=1, instance=h.OrchestrationInstance("i", "e"), name="chatty")
    batches: list[h.HistoryEvent] = [
        start,
        h.TaskCompleted(timestamp=2, task_scheduled_id=0, result="1"),
        h.TaskCompleted(timestamp=3, task_scheduled_id=1, result="1"),
    ]
    with caplog.at_level(logging.INFO, "under_test"):
        for number, event in enumerate(batches, 1):
            run_episode(state, None, orchestrator, [event], now=number * 1000)
    assert caplog.messages == ["begins i", "one done", "ends"]
    assert caplog.records[0].step == 1  # type: ignore[attr-defined]
    assert caplog.records[0].funcName == "chatty"
    assert state.completed is not None and state.completed.result == "10"
