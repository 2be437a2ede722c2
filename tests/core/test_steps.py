"""Histories as steps: what was done, how long it took, what is waited for."""

from __future__ import annotations

from durable_core.core import history as h
from durable_core.core.entity_ids import EntityId
from durable_core.core.entity_messages import (
    GRANTED,
    OPERATION,
    RELEASE,
    ReleaseMessage,
    RequestMessage,
    ResponseMessage,
)
from durable_core.core.steps import StepKind, steps_of

ID = "00000000-0000-0000-0000-00000000000"


def request(number: int, **members: object) -> str:
    return RequestMessage(id=f"{ID}{number}", **members).encode()  # type: ignore[arg-type]


def test_calls_are_told_with_their_answers_and_open_ones_are_open() -> None:
    events: list[h.HistoryEvent] = [
        h.OrchestratorStarted(timestamp=1),
        h.ExecutionStarted(timestamp=0, instance=h.OrchestrationInstance("i", "e"), name="main", input="1"),
        h.TaskScheduled(timestamp=2, event_id=0, name="ship", input="[1]"),
        h.TimerCreated(timestamp=2, event_id=1, fire_at=50),
        h.SubOrchestrationInstanceCreated(timestamp=2, event_id=2, name="child", instance_id="c"),
        h.SubOrchestrationInstanceCreated(
            timestamp=2, event_id=3, name="detached", instance_id="d", tags={h.FIRE_AND_FORGET: ""}
        ),
        h.TaskScheduled(timestamp=2, event_id=4, name="pay"),
        h.TaskCompleted(timestamp=9, task_scheduled_id=0, result='"sent"'),
        h.TaskFailed(timestamp=8, task_scheduled_id=4, reason="broke"),
        h.TimerFired(timestamp=51, timer_id=1, fire_at=50),
        h.EventRaised(timestamp=60, name="go", input="true"),
        h.ExecutionSuspended(timestamp=61, reason="hold"),
        h.ExecutionResumed(timestamp=62),
    ]
    told = [(step.kind, step.what, step.begin, step.end, step.result, step.is_failure) for step in steps_of(events)]
    assert told == [
        (StepKind.STARTED, "main", 0, 0, None, False),
        (StepKind.ACTIVITY, "ship", 2, 9, '"sent"', False),
        (StepKind.TIMER, "", 2, 51, None, False),
        (StepKind.CHILD, "child", 2, None, None, False),
        (StepKind.CHILD, "detached", 2, 2, None, False),
        (StepKind.ACTIVITY, "pay", 2, 8, "broke", True),
        (StepKind.EVENT, "go", 60, 60, None, False),
        (StepKind.SUSPENDED, "", 61, 61, None, False),
        (StepKind.RESUMED, "", 62, 62, None, False),
    ]
    assert [step.what for step in steps_of(events) if step.is_open] == ["child"]


def test_entity_calls_locks_and_signals() -> None:
    a = EntityId("counter", "a")
    events: list[h.HistoryEvent] = [
        h.EventSent(timestamp=1, instance_id=str(a), name=OPERATION, input=request(1, operation=None, lockset=(a,))),
        h.EventRaised(timestamp=3, name=f"{ID}1", input=ResponseMessage(result=GRANTED).encode()),
        h.EventSent(timestamp=4, instance_id=str(a), name=OPERATION, input=request(2, operation="add", input="5")),
        h.EventRaised(timestamp=5, name=f"{ID}2", input=ResponseMessage(result="5").encode()),
        h.EventSent(timestamp=6, instance_id=str(a), name=OPERATION, input=request(3, operation="fail")),
        h.EventRaised(timestamp=7, name=f"{ID}3", input=ResponseMessage(result='"no"', exception_type="E").encode()),
        h.EventSent(timestamp=8, instance_id=str(a), name=OPERATION, input=request(4, operation="log", is_signal=True)),
        h.EventSent(timestamp=9, instance_id=str(a), name=RELEASE, input=ReleaseMessage(parent="i", id="x").encode()),
        h.EventSent(timestamp=10, instance_id=str(a), name=OPERATION, input=request(5, operation="get")),
        h.EventSent(timestamp=11, instance_id="other", name="hello", input="1"),
    ]
    told = [(step.kind.value, step.what, step.end, step.result, step.is_failure) for step in steps_of(events)]
    assert told == [
        ("lock", "@counter@a", 3, None, False),
        ("entity", "add", 5, "5", False),
        ("entity", "fail", 7, '"no"', True),
        ("signal", "log", 8, None, False),
        ("unlock", "@counter@a", 9, None, False),
        ("entity", "get", None, None, False),
        ("event sent", "hello", 11, None, False),
    ]


def test_the_end_of_a_failed_instance_is_a_failure() -> None:
    failed = h.ExecutionCompleted(timestamp=1, event_id=1, status=h.OrchestrationStatus.Failed, result="why")
    (step,) = steps_of([failed])
    assert (step.kind, step.what, step.input, step.is_failure) == (StepKind.ENDED, "Failed", "why", True)
