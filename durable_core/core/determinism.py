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
    "that differs between runs (clock, random numbers, environment, global state, the order of a set): "
    "`durable check` finds the latter."
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


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The history records something else than the code decided.

    Attributes:
        event: the recorded decision.
        decision: what this replay issued under the same number, None for nothing.
        function: name of the orchestrator function.
        position: index of ``event`` in the history.
    """

    event: HistoryEvent
    decision: Decision | None
    function: str
    position: int

    @property
    def sentences(self) -> str:
        """The text of the original runtime, with the two spaces that it has after a wrong name."""
        kind, decision = _KINDS[type(self.event)], self.decision
        if decision is None:
            instead = "has not scheduled this task."
        elif type(decision) is not kind.decision:
            instead = f"instead produced a {_ACTIONS[type(decision)]} action with this sequence number."
        else:
            assert isinstance(decision, _NAMED)
            instead = f"instead scheduled {kind.phrase} named '{decision.name}' with this sequence number. "
        return (
            "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled "
            f"{kind.phrase} with sequence number {self.event.event_id}{_named(self.event)}, but the current "
            f"orchestration replay {instead} {_QUESTION}"
        )

    @property
    def expected(self) -> str:
        """The recorded event in words."""
        return f"{type(self.event).__name__}{_named(self.event)} (sequence number {self.event.event_id})"

    @property
    def instead(self) -> str:
        """What the code did, in words."""
        return "nothing under this number" if self.decision is None else describe(self.decision)

    @property
    def hint(self) -> str:
        """The usual cause."""
        return _HINT

    def __str__(self) -> str:
        return (
            f"{self.sentences}\nOrchestrator function '{self.function}', history position {self.position}: expected "
            f"{self.expected}, the code produced {self.instead}. {self.hint}"
        )


def find_mismatch(event: HistoryEvent, decision: Decision | None, *, function: str, position: int) -> Mismatch | None:
    """What is wrong if ``event`` does not confirm ``decision``, else None.

    Inputs, versions and fire times are not compared; names are, ignoring ASCII case.

    Args:
        event: a TaskScheduled, TimerCreated, SubOrchestrationInstanceCreated or EventSent of the history.
        decision: what this replay issued under the same number, if anything.
        function: name of the orchestrator function.
        position: index of ``event`` in the history, for the reader of the text.
    """
    if type(decision) is _KINDS[type(event)].decision and (
        not isinstance(decision, _NAMED) or _same_name(getattr(event, "name", None), decision.name)
    ):
        return None
    return Mismatch(event, decision, function, position)


def _named(event: HistoryEvent) -> str:
    name = getattr(event, "name", None)
    return "" if name is None else f" named '{name}'"


_DUE_OPERATION = "op@"
"""Begin of the name of an operation for later; its due time follows, and fire times are not compared."""


def _same_name(recorded: str | None, decided: str) -> bool:
    if decided.startswith(_DUE_OPERATION) and recorded is not None and recorded.startswith(_DUE_OPERATION):
        return True
    return recorded == decided or (
        recorded is not None and recorded.isascii() and decided.isascii() and recorded.casefold() == decided.casefold()
    )


def describe(decision: Decision) -> str:
    """A decision in words."""
    if isinstance(decision, ScheduleTask):
        return f"a call of activity '{decision.name}'"
    if isinstance(decision, StartSubOrchestration):
        return f"a call of sub-orchestrator '{decision.name}'"
    if isinstance(decision, SendEvent):
        return f"an event '{decision.name}' for instance '{decision.instance_id}'"
    if isinstance(decision, CreateTimer):
        return "a timer"
    return "the end of the orchestration"
