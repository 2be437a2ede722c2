"""Every check of orchestration-semantics 2.4: what is a mismatch, what is none, and what the text says."""

from __future__ import annotations

from typing import Any

import pytest

from durable_core.core.decisions import (
    Complete,
    CreateTimer,
    Decision,
    ScheduleTask,
    SendEvent,
    StartSubOrchestration,
)
from durable_core.core.determinism import Mismatch, find_mismatch
from durable_core.core.history import (
    EventSent,
    HistoryEvent,
    OrchestrationStatus,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TimerCreated,
)

EVENTS: dict[str, tuple[HistoryEvent, Decision, str]] = {
    "activity": (TaskScheduled(timestamp=1, event_id=3, name="A"), ScheduleTask(3, "A", None), "an activity task"),
    "timer": (TimerCreated(timestamp=1, event_id=3, fire_at=5), CreateTimer(3, 5), "a timer task"),
    "child": (
        SubOrchestrationInstanceCreated(timestamp=1, event_id=3, name="A", instance_id="c"),
        StartSubOrchestration(3, "A", "c", None),
        "a sub-orchestration task",
    ),
    "event": (
        EventSent(timestamp=1, event_id=3, instance_id="i", name="A", input="1"),
        SendEvent(3, "i", "A", "1"),
        "a send event task",
    ),
}
END = Complete(3, OrchestrationStatus.Completed, None)
BEGIN = "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled "
QUESTION = "Was a change made to the orchestrator code after this instance had already started running?"


def find(event: HistoryEvent, decision: Decision | None) -> Mismatch | None:
    return find_mismatch(event, decision, function="f", position=7)


def text(event: HistoryEvent, decision: Decision | None) -> str:
    found = find(event, decision)
    assert found is not None
    return str(found)


@pytest.mark.parametrize("kind", EVENTS)
def test_what_was_recorded_and_is_decided_again_is_no_mismatch(kind: str) -> None:
    event, decision, _ = EVENTS[kind]
    assert find(event, decision) is None


@pytest.mark.parametrize("kind", EVENTS)
def test_behaviour_21_nothing_was_decided_under_the_number(kind: str) -> None:
    event, _, phrase = EVENTS[kind]
    first, _, second = text(event, None).partition("\n")
    assert first.startswith(f"{BEGIN}{phrase} with sequence number 3")
    assert first.endswith(f"the current orchestration replay has not scheduled this task. {QUESTION}")
    assert second.startswith(f"Orchestrator function 'f', history position 7: expected {type(event).__name__}")
    assert "the code produced nothing under this number. The usual causes" in second


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("other", [*EVENTS, "end"])
def test_behaviour_20_another_kind_was_decided(kind: str, other: str) -> None:
    event, _, phrase = EVENTS[kind]
    decision = END if other == "end" else EVENTS[other][1]
    if kind == other:
        assert find(event, decision) is None
        return
    first = text(event, decision).partition("\n")[0]
    assert first.startswith(f"{BEGIN}{phrase} with sequence number 3")
    assert f"replay instead produced a {ACTIONS[other]} action with this sequence number. {QUESTION}" in first


ACTIONS = {
    "activity": "ScheduleTaskOrchestratorAction",
    "timer": "CreateTimerOrchestratorAction",
    "child": "CreateSubOrchestrationAction",
    "event": "SendEventOrchestratorAction",
    "end": "OrchestrationCompleteOrchestratorAction",
}


@pytest.mark.parametrize(
    ("kind", "decision"),
    [
        ("activity", ScheduleTask(3, "B", None)),
        ("child", StartSubOrchestration(3, "B", "c", None)),
        ("event", SendEvent(3, "i", "B", "1")),
    ],
)
def test_behaviour_18_another_name_was_decided(kind: str, decision: Any) -> None:
    """With the two spaces that the original has here."""
    event, _, phrase = EVENTS[kind]
    first, _, second = text(event, decision).partition("\n")
    assert first == (
        f"{BEGIN}{phrase} with sequence number 3 named 'A', but the current orchestration replay instead scheduled "
        f"{phrase} named 'B' with this sequence number.  {QUESTION}"
    )
    assert "'B'" in second


@pytest.mark.parametrize(
    ("kind", "decision"),
    [
        ("activity", ScheduleTask(3, "a", '["another input"]', version="2")),
        ("timer", CreateTimer(3, 99)),
        ("child", StartSubOrchestration(3, "a", "another id", '"another input"', "2")),
        ("event", SendEvent(3, "another target", "a", "2")),
    ],
)
def test_behaviours_19_22_23_inputs_versions_times_targets_and_letter_case_are_not_compared(
    kind: str, decision: Any
) -> None:
    assert find(EVENTS[kind][0], decision) is None


def test_behaviour_23_the_due_time_of_an_entity_operation_is_a_fire_time() -> None:
    due = EventSent(timestamp=1, event_id=3, instance_id="@c@k", name="op@2026-11-21T11:48:16.5954957Z", input="1")
    assert find(due, SendEvent(3, "@c@k", "op@2026-11-21T11:48:16.5954950Z", "1")) is None
    assert find(due, SendEvent(3, "@c@k", "op", "1")) is not None


def test_names_outside_ascii_are_compared_exactly() -> None:
    event = TaskScheduled(timestamp=1, event_id=3, name="Ä")
    assert find(event, ScheduleTask(3, "ä", None)) is not None
