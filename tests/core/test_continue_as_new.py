"""Generations (orchestration-semantics 3.10, 7.4; task-hub 6.9)."""

from __future__ import annotations

from typing import Any

import pytest

from durable_core.core import history as h
from durable_core.core.episode import EpisodeRules, run_episode
from durable_core.core.ids import next_execution_id
from durable_core.core.replay import OrchestrationRun
from tests.core.episodes import Instance, Steps, call, decode, done, kinds


def raised(name: str, value: str, timestamp: int = 7) -> h.EventRaised:
    return h.EventRaised(timestamp=timestamp, name=name, input=value)


def counts(run: OrchestrationRun) -> Steps:
    number = decode(run.input) or 0
    run.custom_status = run.custom_status or '"first"'
    yield call(run, "work", number)
    if number == 2:
        return "done"
    run.continue_as_new(str(number + 1))
    return "not the output"


@pytest.mark.parametrize("replays", [False, True])
def test_behaviours_47_48_49_50_a_new_generation_replaces_the_old_and_runs_at_once(replays: bool) -> None:
    instance = Instance(counts, replays=replays)
    instance.start()
    episode = instance.feed(done(0))
    assert kinds(episode) == [
        "OrchestratorStarted",
        "ExecutionStarted",
        "OrchestratorCompleted",
        "TaskScheduled",
        "OrchestratorCompleted",
    ]
    assert [event.is_played for event in episode.events] == [False, True, True, False, False]
    assert (episode.first, episode.number, episode.custom_status) == (0, 2, '"first"')
    started = instance.state.started
    assert started is not None
    assert (started.instance.execution_id, started.input, started.generation) == (next_execution_id("e1"), "1", None)
    assert episode.events[3].event_id == 0
    assert episode.outgoing[0].message.target == started.instance
    instance.feed(done(0))
    instance.feed(done(0))
    assert instance.output() == "done"


def forwards(run: OrchestrationRun) -> Steps:
    """Takes one event ``go``, then continues; ends with everything that ``collect`` brings."""
    if run.input is None:
        yield run.wait_for_event("go", decode)
        run.continue_as_new("1")
        return None
    found = []
    for _ in range(decode(run.input) + 1):
        found.append((yield run.wait_for_event("item", decode)))
    return found


@pytest.mark.parametrize("replays", [False, True])
def test_behaviour_52_events_that_no_wait_has_taken_go_along_in_their_order(replays: bool) -> None:
    instance = Instance(forwards, replays=replays)
    instance.start()
    instance.feed(raised("item", "1"))
    episode = instance.feed(raised("go", "0"), raised("item", "2", 8))
    assert kinds(episode) == [
        "OrchestratorStarted",
        "ExecutionStarted",
        "EventRaised",
        "EventRaised",
        "OrchestratorCompleted",
        "ExecutionCompleted",
        "OrchestratorCompleted",
    ]
    assert instance.output() == [1, 2]


def test_behaviours_51_52_events_can_be_dropped_instead() -> None:
    def body(run: OrchestrationRun) -> Steps:
        yield run.wait_for_event("go", decode)
        run.continue_as_new("1", keep_events=False)

    instance = Instance(body)
    instance.start(raised("item", "1"))
    episode = instance.feed(raised("go", "0"), raised("item", "2"))
    assert kinds(episode) == ["OrchestratorStarted", "ExecutionStarted", "OrchestratorCompleted"]


def test_behaviour_53_a_function_that_raises_after_the_call_has_failed() -> None:
    def body(run: OrchestrationRun) -> Steps:
        yield call(run, "a")
        run.continue_as_new("1")
        raise RuntimeError("no")

    instance = Instance(body)
    instance.start()
    instance.feed(done(0))
    assert (instance.end.status, instance.end.result) == (h.OrchestrationStatus.Failed, "no")


def test_open_work_does_not_hold_the_generation_back() -> None:
    """Behaviour 33, not 54."""

    def body(run: OrchestrationRun) -> Steps:
        if run.input is None:
            run.create_timer(10**12)
            call(run, "slow")
            run.continue_as_new('"next"')
            return
        yield run.wait_for_event("never", decode)

    instance = Instance(body)
    episode = instance.start()
    assert instance.state.started is not None and instance.state.started.input == '"next"'
    assert [type(item.message.event).__name__ for item in episode.outgoing] == ["TimerFired", "TaskScheduled"]
    assert {item.message.target.execution_id for item in episode.outgoing} == {"e1"}


def test_what_follows_the_call_is_not_carried_out() -> None:
    def body(run: OrchestrationRun) -> Steps:
        run.continue_as_new("1") if run.input is None else None
        yield call(run, "a", run.input)
        raise AssertionError("never resumed")

    instance = Instance(body)
    episode = instance.start()
    assert [item.message.event.input for item in episode.outgoing] == ['["1"]']  # type: ignore[attr-defined]


def test_a_function_without_yields_may_continue() -> None:
    def body(run: OrchestrationRun) -> Any:
        number = decode(run.input) or 0
        if number < 3:
            run.continue_as_new(str(number + 1))
            return None
        return number

    instance = Instance(body)
    instance.start()
    assert instance.output() == 3


def test_a_loop_that_never_waits_is_committed_now_and_then() -> None:
    """Behaviours 26, 34: a timer -100, which no code sees, brings the next episode."""
    seen = []

    def body(run: OrchestrationRun) -> Any:
        seen.append((decode(run.input) or 0, run.is_replaying))
        run.continue_as_new(str((decode(run.input) or 0) + 1))

    instance = Instance(body)
    episode = instance.start()
    assert [number for number, _ in seen] == list(range(20))
    assert kinds(episode)[-2:] == ["TimerCreated", "OrchestratorCompleted"]
    timer = episode.outgoing[-1].message.event
    assert isinstance(timer, h.TimerFired) and timer.timer_id == -100
    instance.feed(timer)
    assert seen[20] == (20, False)
    assert [number for number, _ in seen] == list(range(40))


def test_many_events_travel_by_queue_as_far_as_they_do_not_fit_the_first_transaction() -> None:
    def body(run: OrchestrationRun) -> Steps:
        yield run.wait_for_event("go" if run.input is None else "never", decode)
        run.continue_as_new("1")

    instance = Instance(body)
    instance.start(*(raised("item", str(number), number) for number in range(200)))
    episode = instance.feed(raised("go", "0"))
    assert len(episode.events) == 3 + 90
    sent = [item.message for item in episode.outgoing]
    assert [message.event.timestamp for message in sent] == list(range(90, 200))
    assert {message.target.execution_id for message in sent} == {None}


def test_a_generation_of_a_version_that_this_worker_does_not_take_is_left_to_others() -> None:
    def body(run: OrchestrationRun) -> Any:
        run.continue_as_new("1", version="2.0")

    instance = Instance(body)
    begin = h.ExecutionStarted(timestamp=1, instance=h.OrchestrationInstance("i", "e1"), name="under_test")
    rules = EpisodeRules(accepts=lambda version: version != "2.0")
    episode, run = run_episode(instance.state, None, instance.orchestrator, [begin], now=9, rules=rules)
    assert run is None
    assert episode.state.started is not None and episode.state.started.version == "2.0"
    assert isinstance(episode.outgoing[-1].message.event, h.TimerFired)


def test_a_termination_in_the_same_batch_wins() -> None:
    """Semantics 3.10: .NET loses it."""
    instance = Instance(counts)
    instance.start()
    instance.feed(done(0), h.ExecutionTerminated(timestamp=9, input="enough"))
    assert (instance.end.status, instance.end.result, instance.end.event_id) == (
        h.OrchestrationStatus.Terminated,
        "enough",
        1,
    )


def test_a_generation_decided_while_suspended_begins_on_resume() -> None:
    instance = Instance(forwards)
    instance.start()
    instance.feed(raised("go", "0"), h.ExecutionSuspended(timestamp=8))
    assert instance.state.started is not None and instance.state.started.instance.execution_id == "e1"
    instance.feed(raised("item", "5"))
    instance.feed(raised("item", "6", 9), h.ExecutionResumed(timestamp=10))
    assert instance.output() == [5, 6]


def test_behaviour_45_the_last_generation_answers_the_parent() -> None:
    parent = h.ParentInstance("boss", h.OrchestrationInstance("p", "pe"), 3, "")
    instance = Instance(counts)
    instance.feed(
        h.ExecutionStarted(
            timestamp=1, instance=h.OrchestrationInstance("i", "e1"), name="under_test", input="1", parent=parent
        )
    )
    instance.feed(done(0))
    instance.feed(done(0))
    told = instance.sent[-1].message
    assert told.target == parent.instance
    assert isinstance(told.event, h.SubOrchestrationInstanceCompleted)
    assert told.event.task_scheduled_id == 3
