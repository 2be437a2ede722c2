"""Replaying the history of a status document, which names no decision ids and leaves answered decisions out.

Every answer says when and what was called, so the recorded decisions can be put in order of time; that is the order in
which the code made them, and the code's own numbers take the place of the missing ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from durable_core.core import history as h
from durable_core.core import ticks
from durable_core.core.decisions import Complete, CreateTimer, Decision, ScheduleTask, SendEvent, StartSubOrchestration
from durable_core.core.determinism import describe
from durable_core.core.replay import OrchestrationRun, Orchestrator
from durable_core.errors import ExportError
from durable_core.testing.exports import HOW_TO_EXPORT, StatusExport
from durable_core.testing.replay_outcome import Divergence, ReplayOutcome, concluded, other_end

_Document = Mapping[str, Any]
_ACTIVITY = ("TaskScheduled", "TaskCompleted", "TaskFailed")
_CHILD = (
    "SubOrchestrationInstanceCreated",
    "SubOrchestrationInstanceCompleted",
    "SubOrchestrationInstanceFailed",
)
_ANSWERS = frozenset({*_ACTIVITY[1:], *_CHILD[1:]})
_IN_PLACE = frozenset({_ACTIVITY[0], _CHILD[0], "TimerCreated", "EventSent"})
"""Decisions that stand in the document where they were recorded."""


@dataclass(slots=True)
class _Record:
    """A decision that the history tells of.

    Attributes:
        event: as it was recorded, without its id.
        position: in the document, of the decision or of its answer.
        id: the code's number for it, None as long as the code has not decided it.
    """

    event: h.TaskScheduled | h.SubOrchestrationInstanceCreated | h.TimerCreated | h.EventSent
    position: int
    id: int | None = None


class _Diverged(Exception):
    def __init__(self, divergence: Divergence) -> None:
        super().__init__(str(divergence))
        self.divergence = divergence


def replay_status(export: StatusExport, orchestrator: Orchestrator) -> ReplayOutcome:
    """Replay the history of a status document.

    Raises:
        ExportError: inputs, results or times are missing; the text says how to export them.
    """
    replay = _StatusReplay(export, orchestrator)
    divergence: Divergence | None = None
    try:
        replay.run_all()
    except _Diverged as error:
        divergence = error.divergence
    outcome = ReplayOutcome(export.instance_id, orchestrator.name, divergence, notes=tuple(replay.notes()))
    outcome = concluded(outcome, replay.run, replay.recorded, has_ended=replay.has_ended)
    replay.run.close()
    return outcome


class _StatusReplay:
    def __init__(self, export: StatusExport, orchestrator: Orchestrator) -> None:
        self._export = export
        self._documents = export.documents
        self.run = OrchestrationRun(orchestrator)
        self._by_position: dict[int, _Record] = {}
        for position, document in enumerate(self._documents):
            record = self._record(document, position)
            if record is not None:
                self._by_position[position] = record
        self._open = sorted(self._by_position.values(), key=lambda record: record.event.timestamp)
        self._arrivals = [self._arrival(document) for document in self._documents]
        self._alike = 0
        self.recorded: str | None = None
        self.has_ended = False

    def notes(self) -> list[str]:
        """What the document leaves open."""
        if not self._alike:
            return []
        return [
            f"{self._alike} call(s) of the same name at the same time cannot be told apart in a status document; their "
            "answers were taken in order. Rows tell them apart: `durable instances history ID --rows`."
        ]

    # ---- reading ---------------------------------------------------------------------------------------------------

    def _record(self, document: _Document, position: int) -> _Record | None:
        kind = document.get("EventType")
        if kind not in _ANSWERS and kind not in _IN_PLACE:
            return None
        name = document.get("FunctionName") or document.get("Name")
        when = self._moment(document, "ScheduledTime" if kind in _ANSWERS else "Timestamp", position)
        if kind in _ACTIVITY:
            return _Record(h.TaskScheduled(timestamp=when, name=str(name or "")), position)
        if kind in _CHILD:
            child = h.SubOrchestrationInstanceCreated(
                timestamp=when, name=str(name or ""), instance_id=document.get("InstanceId")
            )
            return _Record(child, position)
        if kind == "TimerCreated":
            return _Record(h.TimerCreated(timestamp=when, fire_at=self._moment(document, "FireAt", position)), position)
        target, text = document.get("InstanceId"), document.get("Input")
        return _Record(h.EventSent(timestamp=when, instance_id=target, name=str(name or ""), input=text), position)

    def _moment(self, document: _Document, member: str, position: int) -> int:
        text = document.get(member)
        try:
            return ticks.parse(text)
        except (TypeError, ValueError) as error:
            raise ExportError(
                f"Event {position} ({document.get('EventType')}) of instance '{self._export.instance_id}' has no "
                f"{member} that can be read: {text!r}. {HOW_TO_EXPORT}"
            ) from error

    def _arrival(self, document: _Document) -> int | None:
        """When the instance can have learnt of an event at the earliest; None for its own decisions."""
        kind = document.get("EventType")
        if kind in _IN_PLACE or kind == "ExecutionCompleted":
            return None
        times = [document[name] for name in ("Timestamp", "FireAt") if isinstance(document.get(name), str)]
        return max((ticks.parse(text) for text in times), default=None)

    def _needed(self, document: _Document, member: str, position: int, flag: str) -> Any:
        if member not in document:
            raise ExportError(
                f"Event {position} ({document.get('EventType')}) of instance '{self._export.instance_id}' has no "
                f"{member}: the status was asked for without {flag}=true. {HOW_TO_EXPORT}"
            )
        return document[member]

    # ---- replaying -------------------------------------------------------------------------------------------------

    def run_all(self) -> None:
        """Feed the events in order; raises ``_Diverged`` where the code does something else."""
        for position, document in enumerate(self._documents):
            kind = document.get("EventType")
            if kind == "ExecutionCompleted":
                self._complete(document, position)
                return
            record = self._by_position.get(position)
            if record is not None and record.id is None and not self.run.is_suspended:
                self._missing(record, position)
            event = self._event(document, record, position)
            if event is not None:
                self._feed(event, position)

    def _feed(self, event: h.HistoryEvent, position: int) -> None:
        clock = h.OrchestratorStarted(timestamp=self._clock(position, event.timestamp))
        self.run.feed([clock, event], replaying=True)
        self._confirm()

    def _clock(self, position: int, moment: int) -> int:
        """When the episode of an event began: with the decisions that follow from it, if there are any."""
        arrived = self._arrivals[position] or moment
        later = next((time for time in self._arrivals[position + 1 :] if time is not None), None)
        decided = next((record.event.timestamp for record in self._open if record.id is None), None)
        if decided is not None and decided >= arrived and (later is None or decided < later):
            return decided
        return arrived

    def _confirm(self) -> None:
        """Give the code's new decisions their records."""
        while not self.run.is_suspended:
            number = min(
                (key for key, item in self.run.pending.items() if not isinstance(item, Complete)), default=None
            )
            record = None if number is None else self._next(self.run.pending[number])
            if number is None or record is None:
                return
            record.id = number
            self.run.feed([_numbered(record.event, number)], replaying=True)
            if self.run.mismatch is not None:
                raise _Diverged(Divergence.of(self.run.mismatch, record.position))

    def _next(self, decision: Decision) -> _Record | None:
        """The earliest record that is left; of several at the same time, one that fits."""
        left = [record for record in self._open if record.id is None]
        if not left:
            return None
        together = [record for record in left if record.event.timestamp == left[0].event.timestamp]
        fitting = [record for record in together if _fits(record.event, decision)]
        if len(fitting) > 1 and isinstance(decision, (ScheduleTask, StartSubOrchestration)):
            self._alike += 1
        return fitting[0] if fitting else together[0]

    def _missing(self, record: _Record, position: int) -> None:
        name = getattr(record.event, "name", None)
        expected = type(record.event).__name__ + (f" named '{name}'" if name else "")
        instead = ", ".join(describe(item) for item in self.run.pending.values()) or "nothing: it still waits"
        raise _Diverged(Divergence(position, expected, instead, self.run.orchestrator.name))

    def _complete(self, document: _Document, position: int) -> None:
        self.has_ended = True
        status = h.OrchestrationStatus[str(document.get("OrchestrationStatus"))]
        if "Result" in document and status is h.OrchestrationStatus.Completed and document["Result"] is not None:
            self.recorded = _text(document["Result"])
        different = other_end(self.run, status, self.recorded, position)
        if different is not None:
            raise _Diverged(different)

    def _event(self, document: _Document, record: _Record | None, position: int) -> h.HistoryEvent | None:
        """The received event of a document; None for what the instance did not receive."""
        kind = document.get("EventType")
        if kind in _IN_PLACE or kind in ("GenericEvent", "ContinueAsNew"):
            return None
        when = self._moment(document, "Timestamp", position)
        if kind == "ExecutionStarted":
            instance = h.OrchestrationInstance(self._export.instance_id, "")
            text = self._needed(document, "Input", position, "showInput")
            name, version = self._export.name, self._export.version
            return h.ExecutionStarted(timestamp=when, instance=instance, name=name, version=version, input=text)
        if kind == "EventRaised":
            text = self._needed(document, "Input", position, "showInput")
            return h.EventRaised(timestamp=when, name=str(document.get("Name") or ""), input=text)
        if kind == "TimerFired":
            return self._fired(document, when, position)
        if kind == "ExecutionTerminated":
            return h.ExecutionTerminated(timestamp=when, input=document.get("Input"))
        if kind == "ExecutionSuspended":
            return h.ExecutionSuspended(timestamp=when, reason=document.get("Reason"))
        if kind == "ExecutionResumed":
            return h.ExecutionResumed(timestamp=when, reason=document.get("Reason"))
        if kind in _ANSWERS and record is not None and record.id is not None:
            return self._answer(document, record.id, when, position)
        return None

    def _answer(self, document: _Document, number: int, when: int, position: int) -> h.HistoryEvent:
        kind = document["EventType"]
        if kind in ("TaskFailed", "SubOrchestrationInstanceFailed"):
            failed = h.TaskFailed if kind == "TaskFailed" else h.SubOrchestrationInstanceFailed
            reason, details = document.get("Reason"), document.get("Details")
            return failed(timestamp=when, task_scheduled_id=number, reason=reason, details=details)
        done = h.TaskCompleted if kind == "TaskCompleted" else h.SubOrchestrationInstanceCompleted
        result = self._needed(document, "Result", position, "showHistoryOutput")
        return done(timestamp=when, task_scheduled_id=number, result=None if result is None else _text(result))

    def _fired(self, document: _Document, when: int, position: int) -> h.HistoryEvent | None:
        fire_at = self._moment(document, "FireAt", position)
        for record in self._by_position.values():
            if isinstance(record.event, h.TimerCreated) and record.event.fire_at == fire_at and record.id is not None:
                number, record.event = record.id, h.TimerCreated(timestamp=record.event.timestamp, fire_at=-1)
                return h.TimerFired(timestamp=when, timer_id=number, fire_at=fire_at)
        return None


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _numbered(event: h.HistoryEvent, number: int) -> h.HistoryEvent:
    return replace(event, event_id=number)


_RECORDED_AS: Sequence[tuple[type[h.HistoryEvent], type[Decision]]] = (
    (h.TaskScheduled, ScheduleTask),
    (h.SubOrchestrationInstanceCreated, StartSubOrchestration),
    (h.TimerCreated, CreateTimer),
    (h.EventSent, SendEvent),
)


def _fits(event: h.HistoryEvent, decision: Decision) -> bool:
    if (type(event), type(decision)) not in _RECORDED_AS:
        return False
    return getattr(event, "name", None) == getattr(decision, "name", None)
