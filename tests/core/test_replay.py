"""Replay and episodes, behaviour by behaviour (orchestration-semantics 11)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable_core.core import history as h
from durable_core.core.decisions import Complete
from durable_core.core.entity_ids import EntityId
from durable_core.core.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    OrchestrationStatus,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durable_core.core.replay import OrchestrationRun
from durable_core.core.state import RuntimeState
from durable_core.core.tasks import TaskState, WhenAllTask, WhenAnyTask
from tests.core.episodes import Instance, Steps, call, decode, done, failed, kinds


def raised(name: str, value: str, timestamp: int = 7) -> EventRaised:
    return EventRaised(timestamp=timestamp, name=name, input=value)


def chain(run: OrchestrationRun) -> Steps:
    results = []
    for city in ("Tokyo", "Seattle", "London"):
        results.append((yield call(run, "say_hello", city)))
    return results


@pytest.mark.parametrize("replays", [False, True])
def test_behaviours_1_2_3_7_a_chain_writes_the_sixteen_events(replays: bool) -> None:
    instance = Instance(chain, replays=replays)
    instance.start()
    for task_id, city in enumerate(("Tokyo", "Seattle", "London")):
        instance.feed(done(task_id, f"Hello {city}!"))
    assert [(type(event).__name__, event.event_id) for event in instance.state.events] == [
        ("OrchestratorStarted", -1),
        ("ExecutionStarted", -1),
        ("TaskScheduled", 0),
        ("OrchestratorCompleted", -1),
        ("OrchestratorStarted", -1),
        ("TaskCompleted", -1),
        ("TaskScheduled", 1),
        ("OrchestratorCompleted", -1),
        ("OrchestratorStarted", -1),
        ("TaskCompleted", -1),
        ("TaskScheduled", 2),
        ("OrchestratorCompleted", -1),
        ("OrchestratorStarted", -1),
        ("TaskCompleted", -1),
        ("ExecutionCompleted", 3),
        ("OrchestratorCompleted", -1),
    ]
    assert instance.output() == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


def fan_out(run: OrchestrationRun) -> Steps:
    return (yield WhenAllTask([call(run, "work", n) for n in range(3)]))


def test_behaviours_4_5_6_fan_out() -> None:
    instance = Instance(fan_out)
    first = instance.start()
    assert [event.event_id for event in first.events if isinstance(event, TaskScheduled)] == [0, 1, 2]
    second = instance.feed(done(2, "c"), done(0, "a"))
    assert kinds(second) == ["OrchestratorStarted", "TaskCompleted", "TaskCompleted", "OrchestratorCompleted"]
    instance.feed(done(1, "b"))
    assert instance.output() == ["a", "b", "c"]


def test_behaviours_8_86_89_an_event_that_came_with_the_start_completes_the_wait() -> None:
    def waits(run: OrchestrationRun) -> Steps:
        first = yield run.wait_for_event("go", decode)
        second = yield run.wait_for_event("go", decode)
        return [first, second]

    instance = Instance(waits)
    episode = instance.start(raised("go", "1", 2), raised("go", "2", 3))
    assert kinds(episode)[:4] == ["OrchestratorStarted", "ExecutionStarted", "EventRaised", "EventRaised"]
    assert instance.output() == [1, 2]
    assert instance.end.event_id == 0


def test_event_names_match_exactly_and_two_waiters_are_served_first_in_first_out() -> None:
    def waits(run: OrchestrationRun) -> Steps:
        one, two = run.wait_for_event("go", decode), run.wait_for_event("go", decode)
        yield WhenAllTask([one, two])
        return [one.result, two.result]

    instance = Instance(waits)
    instance.start()
    instance.feed(raised("GO", "0"))
    assert instance.state.completed is None
    instance.feed(raised("go", "1"))
    instance.feed(raised("go", "2", 8))
    assert instance.output() == [1, 2]


@pytest.mark.parametrize(("store", "stored"), [(False, None), (True, '["x"]')])
def test_behaviours_9_10_inputs_are_in_the_message_and_in_history_only_on_request(
    store: bool, stored: str | None
) -> None:
    from durable_core.core.episode import EpisodeRules, run_episode

    instance = Instance(lambda run: (yield call(run, "work", "x")))
    start = Instance(chain).start().events[1]
    episode, _ = run_episode(
        instance.state, None, instance.orchestrator, [start], now=9, rules=EpisodeRules(store_inputs=store)
    )
    recorded = next(event for event in episode.events if isinstance(event, TaskScheduled))
    sent = episode.outgoing[0].message.event
    assert isinstance(sent, TaskScheduled)
    assert (recorded.input, sent.input) == (stored, '["x"]')


def test_behaviours_11_12_timers() -> None:
    instance = Instance(lambda run: (yield run.create_timer(run.current_time + 500)))
    first = instance.start()
    created = next(event for event in first.events if isinstance(event, TimerCreated))
    fired = first.outgoing[0].message.event
    assert isinstance(fired, TimerFired)
    assert (created.fire_at, fired.fire_at, first.outgoing[0].due) == (1500, 1500, 1500)
    assert (fired.event_id, fired.timer_id, fired.timestamp) == (-1, 0, created.timestamp)
    instance.feed(fired)
    assert instance.end.status is OrchestrationStatus.Completed


def test_behaviour_13_the_clock_is_that_of_the_latest_episode() -> None:
    def clock(run: OrchestrationRun) -> Steps:
        times = [run.current_time, run.current_time]
        yield call(run, "a")
        return [*times, run.current_time]

    instance = Instance(clock)
    instance.start()
    instance.feed(done(0))
    assert instance.output() == [1000, 1000, 2000]


def test_behaviour_17_is_replaying_tells_past_from_new_events() -> None:
    seen: list[bool] = []

    def watcher(run: OrchestrationRun) -> Steps:
        seen.append(run.is_replaying)
        yield call(run, "a")
        seen.append(run.is_replaying)

    instance = Instance(watcher, replays=True)
    instance.start()
    instance.feed(done(0))
    assert seen == [False, True, False]


def changed(before: Any, after: Any) -> Instance:
    """An instance whose code changes after its first episode."""
    instance = Instance(before)
    instance.start()
    later = Instance(after)
    later.state = RuntimeState(instance.state.events)
    later.now = 5000
    return later


def one(name: str, argument: Any = None) -> Any:
    def body(run: OrchestrationRun) -> Steps:
        return (yield call(run, name, argument))

    return body


def timer_only(run: OrchestrationRun) -> Steps:
    yield run.create_timer(run.current_time + 10)


def returns_at_once(run: OrchestrationRun) -> Steps:
    yield from ()
    return 1


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (
            one("B"),
            "scheduled an activity task with sequence number 0 named 'A', but the current orchestration replay instead "
            "scheduled an activity task named 'B' with this sequence number.",
        ),
        (timer_only, "instead produced a CreateTimerOrchestratorAction action with this sequence number."),
        (returns_at_once, "instead produced a OrchestrationCompleteOrchestratorAction action"),
        (lambda run: (yield run.wait_for_event("x", decode)), "replay has not scheduled this task"),
    ],
)
def test_behaviours_18_20_21_changed_code_fails_the_instance(after: Any, text: str) -> None:
    instance = changed(one("A"), after)
    instance.feed(done(0))
    end = instance.end
    assert end.status is OrchestrationStatus.Failed
    assert end.result is not None
    assert end.result.startswith("Non-Deterministic workflow detected: A previous execution of this orchestration")
    assert text in end.result
    assert "'under_test', history position 2: expected TaskScheduled named 'A'" in end.result


@pytest.mark.parametrize("after", [one("a"), one("A", "another input")])
def test_behaviours_19_22_case_and_inputs_are_not_compared(after: Any) -> None:
    instance = changed(one("A"), after)
    instance.feed(done(0, 1))
    assert instance.output() == 1


def test_behaviour_23_fire_times_are_not_compared() -> None:
    instance = changed(timer_only, lambda run: (yield run.create_timer(run.current_time + 99)))
    instance.feed(TimerFired(timestamp=5, timer_id=0, fire_at=1010))
    assert instance.end.status is OrchestrationStatus.Completed


def test_behaviour_24_a_call_appended_at_the_end_is_a_new_decision() -> None:
    def longer(run: OrchestrationRun) -> Steps:
        yield call(run, "A")
        yield call(run, "B")

    instance = changed(one("A"), longer)
    episode = instance.feed(done(0))
    assert [event.event_id for event in episode.events if isinstance(event, TaskScheduled)] == [1]


def test_behaviour_26_the_split_timer_is_not_checked() -> None:
    instance = Instance(one("A"))
    instance.start()
    events: list[HistoryEvent] = [*instance.state.events, TimerCreated(timestamp=9, event_id=-100, fire_at=9)]
    instance.state, instance.run = RuntimeState(events), None
    instance.feed(done(0, "fine"))
    assert instance.output() == "fine"


def test_behaviour_33_a_function_that_returns_ends_the_instance_whatever_is_open() -> None:
    def hurried(run: OrchestrationRun) -> Steps:
        slow = call(run, "slow")
        winner = yield WhenAnyTask([slow, run.wait_for_event("now", decode)])
        return winner is slow

    instance = Instance(hurried)
    instance.start()
    instance.feed(raised("now", "null"))
    assert instance.output() is False


def test_behaviours_55_59_terminate() -> None:
    instance = Instance(one("A"))
    instance.start()
    episode = instance.feed(ExecutionTerminated(timestamp=3, input="enough"))
    assert kinds(episode) == [
        "OrchestratorStarted",
        "ExecutionTerminated",
        "ExecutionCompleted",
        "OrchestratorCompleted",
    ]
    assert (instance.end.status, instance.end.result, instance.end.event_id) == (
        OrchestrationStatus.Terminated,
        "enough",
        1,
    )


@pytest.mark.parametrize("replays", [False, True])
def test_behaviours_57_58_what_comes_while_suspended_waits_for_resume(replays: bool) -> None:
    def two(run: OrchestrationRun) -> Steps:
        first = yield run.wait_for_event("a", decode)
        second = yield run.wait_for_event("a", decode)
        return [first, second]

    instance = Instance(two, replays=replays)
    instance.start()
    instance.feed(ExecutionSuspended(timestamp=3, reason="hold"))
    assert instance.state.status is OrchestrationStatus.Suspended
    assert kinds(instance.feed(raised("a", "1", 4))) == ["OrchestratorStarted", "EventRaised", "OrchestratorCompleted"]
    instance.feed(raised("a", "2", 5))
    assert instance.state.completed is None
    instance.feed(ExecutionResumed(timestamp=6, reason="go"))
    assert instance.output() == [1, 2]


def test_a_suspension_behind_the_termination_does_not_hold_its_record_back() -> None:
    instance = Instance(lambda run: (yield call(run, "a")))
    instance.start(h.ExecutionTerminated(timestamp=2, input="enough"), h.ExecutionSuspended(timestamp=3, reason="late"))
    _assert_replays(instance)


def test_releases_of_locks_at_the_end_are_no_divergence() -> None:
    def locker(run: OrchestrationRun) -> Any:
        yield run.entities.lock([EntityId("a", "1"), EntityId("a", "2")])
        yield run.wait_for_event("never", decode)

    instance = Instance(locker)
    instance.start()
    instance.feed(h.ExecutionTerminated(timestamp=2, input="enough"))
    assert sum(isinstance(event, h.EventSent) for event in instance.state.events) == 3
    _assert_replays(instance)


def _assert_replays(instance: Instance) -> None:
    """The code, run over its own finished history, decides the recorded end and nothing else."""
    run = OrchestrationRun(instance.orchestrator, instance.state.events)
    run.feed(instance.state.events, replaying=True)
    (end,) = run.take_decisions()
    assert isinstance(end, Complete)
    assert instance.state.completed is not None
    assert (end.id, end.result) == (instance.state.completed.event_id, "enough")


def test_behaviour_56_terminate_works_while_suspended() -> None:
    instance = Instance(one("A"))
    instance.start()
    instance.feed(ExecutionSuspended(timestamp=3, reason="hold"))
    instance.feed(ExecutionTerminated(timestamp=4, input="enough"))
    assert instance.end.status is OrchestrationStatus.Terminated


@pytest.mark.parametrize("replays", [False, True])
def test_behaviour_59_decisions_of_a_suspended_episode_are_withheld_until_resume(replays: bool) -> None:
    def two(run: OrchestrationRun) -> Steps:
        yield call(run, "A")
        yield call(run, "B")

    instance = Instance(two, replays=replays)
    instance.start()
    held = instance.feed(done(0), ExecutionSuspended(timestamp=3, reason="hold"))
    assert not held.outgoing
    released = instance.feed(ExecutionResumed(timestamp=6, reason="go"))
    assert [event.event_id for event in released.events if isinstance(event, TaskScheduled)] == [1]


def test_behaviour_68_when_all_fails_at_the_first_failure() -> None:
    instance = Instance(fan_out)
    instance.start()
    instance.feed(failed(1, "broken"))
    assert (instance.end.status, instance.end.result) == (OrchestrationStatus.Failed, "broken")


def test_behaviour_78_a_timer_in_the_past_is_due_at_once() -> None:
    instance = Instance(lambda run: (yield run.create_timer(run.current_time - 10)))
    assert instance.start().outgoing[0].due == 990


def test_behaviour_80_a_cancelled_timer_is_stored_and_ignored_when_it_fires() -> None:
    def race(run: OrchestrationRun) -> Steps:
        timer = run.create_timer(run.current_time + 10)
        yield WhenAnyTask([timer, run.wait_for_event("go", decode)])
        timer.cancel()
        yield run.wait_for_event("end", decode)
        return timer.is_cancelled

    instance = Instance(race)
    instance.start()
    instance.feed(raised("go", "1"))
    assert kinds(instance.feed(TimerFired(timestamp=1, timer_id=0, fire_at=1010)))[1] == "TimerFired"
    instance.feed(raised("end", "1"))
    assert instance.output() is True


def test_cancelling_a_fired_timer_is_an_error() -> None:
    """python-api 4.6."""

    def late(run: OrchestrationRun) -> Steps:
        timer = run.create_timer(run.current_time)
        yield timer
        timer.cancel()

    instance = Instance(late)
    instance.start()
    instance.feed(TimerFired(timestamp=1, timer_id=0, fire_at=1000))
    assert instance.end.result == "Cannot cancel a completed task."


def test_a_failure_is_thrown_at_the_yield_and_can_be_caught() -> None:
    def careful(run: OrchestrationRun) -> Steps:
        try:
            yield call(run, "A")
        except Exception as error:
            return f"caught {error}"

    instance = Instance(careful)
    instance.start()
    instance.feed(failed(0, "broken"))
    assert instance.output() == "caught broken"


def test_when_any_gives_the_winner_itself_even_if_it_failed() -> None:
    """python-api 4.4."""

    def race(run: OrchestrationRun) -> Steps:
        task = call(run, "A")
        winner = yield WhenAnyTask([task, call(run, "B")])
        return [winner is task, winner.state is TaskState.FAILED, str(winner.result)]

    instance = Instance(race)
    instance.start()
    instance.feed(failed(0, "broken"))
    assert instance.output() == [True, True, "broken"]


def test_ten_thousand_settled_tasks_in_a_row_need_no_stack() -> None:
    """python-api 5, rule 14."""

    def loops(run: OrchestrationRun) -> Steps:
        task = call(run, "A")
        for _ in range(10_000):
            yield task
        return "through"

    instance = Instance(loops)
    instance.start()
    instance.feed(done(0))
    assert instance.output() == "through"


async def coroutine(run: OrchestrationRun) -> None:
    await asyncio.sleep(0)


async def async_generator(run: OrchestrationRun) -> Any:
    yield call(run, "A")


def forgets_yield_from(run: OrchestrationRun) -> Steps:
    yield chain(run)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (coroutine, "write `def` and `yield`, not `async def` and `await`"),
        (async_generator, "write `def`, not `async def`"),
        (lambda run: iter([1]), "must be a generator function or return a value"),
        (lambda run: call(run, "A"), "`yield` the task"),
        (lambda run: (yield 5), "yielded 5 instead of a durable task"),
        (lambda run: (yield None), "yielded None instead of a durable task"),
        (lambda run: (yield [call(run, "A")]), "context.task_all"),
        (forgets_yield_from, "did you forget `yield from`?"),
    ],
)
def test_wrong_kinds_of_orchestrators_fail_with_the_way_out(body: Any, text: str) -> None:
    instance = Instance(body)
    instance.start()
    assert instance.end.status is OrchestrationStatus.Failed
    assert text in (instance.end.result or "")


def test_a_plain_function_is_its_own_output() -> None:
    """python-api 5, rule 1."""
    instance = Instance(lambda run: {"got": decode(run.input)})
    instance.start(input="7")
    assert instance.output() == {"got": 7}


def test_a_generator_that_yields_while_it_is_closed_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def stubborn(run: OrchestrationRun) -> Steps:
        try:
            yield call(run, "A")
        finally:
            yield call(run, "B")

    instance = Instance(stubborn)
    instance.start()
    instance.feed(ExecutionTerminated(timestamp=3, input="enough"))
    assert instance.end.status is OrchestrationStatus.Terminated
    assert "must not yield" in caplog.text


def test_system_exit_in_user_code_fails_the_instance_only() -> None:
    def leaves(run: OrchestrationRun) -> Steps:
        yield call(run, "A")
        raise SystemExit("bye")

    instance = Instance(leaves)
    instance.start()
    instance.feed(done(0))
    assert (instance.end.status, instance.end.result) == (OrchestrationStatus.Failed, "bye")
