"""What a rewind takes out of a history (orchestration-semantics 8.6)."""

from __future__ import annotations

from durable_core.core import history as h
from durable_core.core.rewind import plan_rewind
from durable_core.core.state import RuntimeState


def test_a_second_rewind_finds_the_failure_in_front_of_what_the_first_one_reopened() -> None:
    """The first rewind took a timer back that had not fired; it was set again in the episode of the second failure."""
    start = h.ExecutionStarted(timestamp=1, instance=h.OrchestrationInstance("i", "e"), name="o")
    events: list[h.HistoryEvent] = [
        h.OrchestratorStarted(timestamp=1),
        start,
        h.GenericEvent(timestamp=1, event_id=0),
        h.TaskScheduled(timestamp=1, event_id=1, name="a"),
        h.OrchestratorCompleted(timestamp=1),
        h.OrchestratorStarted(timestamp=2),
        h.TaskFailed(timestamp=2, task_scheduled_id=1, reason="again"),
        h.TimerCreated(timestamp=2, event_id=0, fire_at=900),
        h.ExecutionCompleted(timestamp=2, event_id=2, status=h.OrchestrationStatus.Failed, result="again"),
        h.OrchestratorCompleted(timestamp=2),
    ]
    assert plan_rewind(events).undone == {3, 6, 7, 8}


def test_a_history_says_that_it_was_taken_back_until_it_is_woken() -> None:
    start = h.ExecutionStarted(timestamp=1, instance=h.OrchestrationInstance("i", "e"), name="o")
    state = RuntimeState(
        [
            h.OrchestratorStarted(timestamp=1),
            start,
            h.GenericEvent(timestamp=1, event_id=0),
            h.OrchestratorCompleted(timestamp=1),
            h.OrchestratorStarted(timestamp=2),
            h.GenericEvent(timestamp=2),
            h.GenericEvent(timestamp=2, event_id=1),
            h.GenericEvent(timestamp=2),
        ]
    )
    assert state.is_rewinding
    state.extend([h.OrchestratorStarted(timestamp=3), h.EventRaised(timestamp=3, name="x", input=None)])
    assert state.is_rewinding
    state.extend([h.OrchestratorStarted(timestamp=4), h.GenericEvent(timestamp=4, data="go on")])
    assert not state.is_rewinding


def test_a_run_that_ends_before_it_is_woken_is_not_rewinding_any_more() -> None:
    """Its row has to say so, whoever has written it meanwhile."""
    start = h.ExecutionStarted(timestamp=1, instance=h.OrchestrationInstance("i", "e"), name="o")
    state = RuntimeState([h.OrchestratorStarted(timestamp=1), start, h.GenericEvent(timestamp=1, event_id=0)])
    assert state.is_rewinding
    state.add(h.ExecutionCompleted(timestamp=2, event_id=1, status=h.OrchestrationStatus.Failed, result="a child"))
    assert not state.is_rewinding
