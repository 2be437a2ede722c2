"""Does the history confirm what the code decided? The checks and texts of orchestration-semantics 2.4."""

from __future__ import annotations

from dataclasses import dataclass

from durable_core.core.decisions import (
    Complete,
    CreateTimer,
    Decision,
    ScheduleTask,
    SendEvent,
    StartSubOrchestration,
)
from durable_core.core.history import (
    EventSent,
    HistoryEvent,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TimerCreated,
)

SPLIT_TIMER_ID = -100
"""Timer that only splits a checkpoint; never checked (behaviour 26)."""

_QUESTION = "Was a change made to the orchestrator code after this instance had already started running?"
_HINT = (
    "The usual causes: the orchestrator's code changed while this instance was running, or it branches on something "
    "that differs between runs (clock, random numbers, environment, global state, the order of a set)."
)


@dataclass(frozen=True, slots=True)
class _Kind:
    decision: type[Decision]
    phrase: str
    action: str
    """Name of the .NET action class: part of the captured sentence."""


_KINDS: dict[type[HistoryEvent], _Kind] = {
    TaskScheduled: _Kind(ScheduleTask, "an activity task", "ScheduleTaskOrchestratorAction"),
    TimerCreated: _Kind(CreateTimer, "a timer task", "CreateTimerOrchestratorAction"),
    SubOrchestrationInstanceCreated: _Kind(
        StartSubOrchestration, "a sub-orchestration task", "CreateSubOrchestrationAction"
    ),
    EventSent: _Kind(SendEvent, "a send event task", "SendEventOrchestratorAction"),
}
_ACTIONS: dict[type[Decision], str] = {
    ScheduleTask: "ScheduleTaskOrchestratorAction",
    CreateTimer: "CreateTimerOrchestratorAction",
    StartSubOrchestration: "CreateSubOrchestrationAction",
    SendEvent: "SendEventOrchestratorAction",
    Complete: "OrchestrationCompleteOrchestratorAction",
}

_NAMED = (ScheduleTask, StartSubOrchestration, SendEvent)


def mismatch(event: HistoryEvent, decision: Decision | None, *, function: str, position: int) -> str | None:
    """The text of the failure if ``event`` does not confirm ``decision``, else None.

    Inputs, versions and fire times are not compared; names are, ignoring ASCII case.

    Args:
        event: a TaskScheduled, TimerCreated, SubOrchestrationInstanceCreated or EventSent of the history.
        decision: what this replay issued under the same number, if anything.
        function: name of the orchestrator function.
        position: index of ``event`` in the history, for the reader of the text.
    """
    kind = _KINDS[type(event)]
    name = getattr(event, "name", None)
    if decision is None:
        instead = "has not scheduled this task"
    elif type(decision) is not kind.decision:
        instead = f"instead produced a {_ACTIONS[type(decision)]} action with this sequence number"
    elif isinstance(decision, _NAMED) and not _same_name(name, decision.name):
        instead = f"instead scheduled {kind.phrase} named '{decision.name}' with this sequence number"
    else:
        return None
    named = f" named '{name}'" if name is not None else ""
    did = "nothing under this number" if decision is None else _describe(decision)
    return (
        "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled "
        f"{kind.phrase} with sequence number {event.event_id}{named}, but the current orchestration replay {instead}. "
        f"{_QUESTION}\n"
        f"Orchestrator function '{function}', history position {position}: expected {type(event).__name__}"
        f"{named} (sequence number {event.event_id}), the code produced {did}. {_HINT}"
    )


def _same_name(recorded: str | None, decided: str) -> bool:
    return recorded == decided or (
        recorded is not None and recorded.isascii() and decided.isascii() and recorded.casefold() == decided.casefold()
    )


def _describe(decision: Decision) -> str:
    if isinstance(decision, ScheduleTask):
        return f"a call of activity '{decision.name}'"
    if isinstance(decision, StartSubOrchestration):
        return f"a call of sub-orchestrator '{decision.name}'"
    if isinstance(decision, SendEvent):
        return f"an event '{decision.name}' for instance '{decision.instance_id}'"
    if isinstance(decision, CreateTimer):
        return "a timer"
    return "the end of the orchestration"
