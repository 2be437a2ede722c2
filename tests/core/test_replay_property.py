"""Resuming a cached execution and replaying it from its history come to the same decisions."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_core.core.episode import run_episode
from durable_core.core.history import HistoryEvent
from durable_core.core.state import RuntimeState
from tests.core.programs import Outside, Step, orchestrator, start_event, steps


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(program=steps(), data=st.data())
def test_resuming_and_replaying_decide_the_same(program: list[Step], data: st.DataObject) -> None:
    function = orchestrator(program)
    cached_state, cached_run = RuntimeState(), None
    replayed_state = RuntimeState()
    outside = Outside([])
    batch: list[HistoryEvent] = [start_event()]
    for number in range(1, 12):
        cached, cached_run = run_episode(cached_state, cached_run, function, batch, now=number * 100)
        replayed, _ = run_episode(replayed_state, None, function, batch, now=number * 100)
        assert cached == replayed
        assert cached.number == number
        outside.take(cached.outgoing)
        if cached_state.is_finished:
            break
        batch = outside.answer(data)
    assert cached_state.events == replayed_state.events


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(program=steps(), data=st.data())
def test_a_history_replays_without_mismatch_and_decides_nothing_new(program: list[Step], data: st.DataObject) -> None:
    """Behaviours 16 and 24 the other way round: unchanged code confirms every recorded decision."""
    function = orchestrator(program)
    state, run = RuntimeState(), None
    outside = Outside([])
    batch: list[HistoryEvent] = [start_event()]
    for number in range(1, 8):
        episode, run = run_episode(state, run, function, batch, now=number * 100)
        outside.take(episode.outgoing)
        if state.is_finished:
            return
        batch = outside.answer(data)
    history = RuntimeState(state.events)
    again, _ = run_episode(history, None, function, [], now=10_000)
    assert [type(event).__name__ for event in again.events] == ["OrchestratorStarted", "OrchestratorCompleted"]
    assert not again.outgoing
