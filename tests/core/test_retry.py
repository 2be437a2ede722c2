"""Retried calls (orchestration-semantics 5)."""

from __future__ import annotations

from typing import Any

import pytest

from durable_core.core import history as h
from durable_core.core.replay import OrchestrationRun
from durable_core.core.retry import RetryPolicy
from durable_core.core.tasks import WhenAllTask
from durable_core.core.ticks import PER_SECOND
from tests.core.episodes import Instance, Steps, call, decode, done, failed


def retried(policy: RetryPolicy) -> Any:
    def body(run: OrchestrationRun) -> Steps:
        return (yield run.call_with_retry(policy, lambda: call(run, "work")))

    return body


def policy(attempts: int, **more: Any) -> RetryPolicy:
    return RetryPolicy(5 * PER_SECOND, attempts, **more)


def fired(instance: Instance, timer_id: int) -> None:
    created = next(event for event in instance.state.events if event.event_id == timer_id)
    assert isinstance(created, h.TimerCreated)
    instance.now = created.fire_at
    instance.feed(h.TimerFired(timestamp=5, timer_id=timer_id, fire_at=created.fire_at))


def delays(instance: Instance) -> list[float]:
    """Seconds between each timer's creation and its due time."""
    return [
        (event.fire_at - event.timestamp) / PER_SECOND
        for event in instance.state.events
        if isinstance(event, h.TimerCreated)
    ]


@pytest.mark.parametrize("replays", [False, True])
def test_behaviours_70_71_73_every_attempt_has_a_new_id_and_one_more_timer_ends_it(replays: bool) -> None:
    body = retried(policy(6, coefficient=2.0, max_interval=60 * PER_SECOND))
    instance = Instance(body, replays=replays)
    instance.start()
    for attempt in range(6):
        instance.feed(failed(2 * attempt, f"no {attempt}"))
        assert instance.state.completed is None
        fired(instance, 2 * attempt + 1)
    assert delays(instance) == [5, 10, 20, 40, 60, 0]
    assert (instance.end.event_id, instance.end.result) == (12, "no 5")


def test_a_later_attempt_may_succeed() -> None:
    instance = Instance(retried(policy(3)))
    instance.start()
    instance.feed(failed(0, "no"))
    fired(instance, 1)
    instance.feed(done(2, "yes"))
    assert instance.output() == "yes"
    assert [type(event).__name__ for event in instance.state.events if event.event_id >= 0] == [
        "TaskScheduled",
        "TimerCreated",
        "TaskScheduled",
        "ExecutionCompleted",
    ]


def test_behaviour_74_what_is_not_retriable_fails_at_once() -> None:
    instance = Instance(retried(policy(3)))
    instance.start()
    details = h.FailureDetails("E", "never", is_non_retriable=True)
    instance.feed(h.TaskFailed(timestamp=5, task_scheduled_id=0, reason="never", failure_details=details))
    assert (instance.end.result, delays(instance)) == ("never", [])


def test_behaviour_75_a_failure_after_the_time_out_is_final() -> None:
    instance = Instance(retried(policy(5, timeout=8 * PER_SECOND)))
    instance.start()
    instance.feed(failed(0, "first"))
    fired(instance, 1)
    instance.now += 4 * PER_SECOND
    instance.feed(failed(2, "late"))
    assert (instance.end.result, delays(instance)) == ("late", [5])


def test_behaviour_76_a_single_attempt_ends_with_the_extra_timer() -> None:
    instance = Instance(retried(policy(1)))
    instance.start()
    instance.feed(failed(0, "no"))
    fired(instance, 1)
    assert [type(event).__name__ for event in instance.state.events if type(event).__name__[:4] != "Orch"] == [
        "ExecutionStarted",
        "TaskScheduled",
        "TaskFailed",
        "TimerCreated",
        "TimerFired",
        "ExecutionCompleted",
    ]


def test_behaviour_77_a_retried_child_with_its_own_id_gets_a_new_execution() -> None:
    def body(run: OrchestrationRun) -> Steps:
        child = lambda: run.call_sub_orchestration("c", None, decode, instance_id="kid")  # noqa: E731
        return (yield run.call_with_retry(policy(2), child))

    instance = Instance(body)
    instance.start()
    instance.feed(h.SubOrchestrationInstanceFailed(timestamp=5, task_scheduled_id=0, reason="no"))
    fired(instance, 1)
    starts = [item.message.event for item in instance.sent if isinstance(item.message.event, h.ExecutionStarted)]
    assert [start.instance.instance_id for start in starts] == ["kid", "kid"]
    assert len({start.instance.execution_id for start in starts}) == 2


def test_retried_calls_in_a_fan_out_take_their_own_time() -> None:
    def body(run: OrchestrationRun) -> Steps:
        one = run.call_with_retry(policy(2), lambda: call(run, "one"))
        two = run.call_with_retry(policy(2), lambda: call(run, "two"))
        return (yield WhenAllTask([one, two]))

    instance = Instance(body)
    instance.start()
    instance.feed(failed(0, "no"), done(1, "b"))
    fired(instance, 2)
    instance.feed(done(3, "a"))
    assert instance.output() == ["a", "b"]


def test_a_back_off_that_outgrows_every_number_stays_a_delay() -> None:
    assert RetryPolicy(PER_SECOND, 9999, coefficient=10.0).delay(5000) > 365 * 86_400 * PER_SECOND
    assert RetryPolicy(PER_SECOND, 9999, coefficient=10.0, max_interval=PER_SECOND).delay(5000) == PER_SECOND
