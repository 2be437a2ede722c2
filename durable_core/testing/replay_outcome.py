"""What a replay of an exported history found."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from durable_core.core.decisions import Complete, Decision
from durable_core.core.determinism import Mismatch, describe
from durable_core.core.history import OrchestrationStatus
from durable_core.core.replay import OrchestrationRun
from durable_core.errors import NonDeterminismError

USUAL_CAUSES = (
    "The usual causes: the orchestrator's code changed while the instance was running, or it branches on something "
    "that differs between runs; `durable check` finds the latter."
)


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place where today's code does something else than the history records.

    Attributes:
        position: index of the event in the export.
        expected: the recorded event, in words.
        instead: what the code did, in words.
        function: name of the orchestrator.
        hint: the usual cause, or what to do.
    """

    position: int
    expected: str
    instead: str
    function: str
    hint: str = USUAL_CAUSES

    @classmethod
    def of(cls, mismatch: Mismatch, position: int) -> Divergence:
        return cls(position, mismatch.expected, mismatch.instead, mismatch.function, mismatch.hint)

    def __str__(self) -> str:
        return (
            f"Orchestrator function '{self.function}', history position {self.position}: expected {self.expected}, the "
            f"code produced {self.instead}. {self.hint}"
        )


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """The outcome of one replay.

    Attributes:
        instance_id, name: of the instance and its orchestrator; the id is empty if the export does not name it.
        divergence: None if today's code does what the history records.
        status: how the code ended, Running if it waits.
        output: JSON text of its output, the bare text of a failure; None without one.
        notes: what is no divergence but worth knowing.
    """

    instance_id: str
    name: str
    divergence: Divergence | None
    status: OrchestrationStatus = OrchestrationStatus.Running
    output: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Today's code replays to the recorded decisions."""
        return self.divergence is None

    def raise_if_diverged(self) -> None:
        """For tests.

        Raises:
            NonDeterminismError: the code diverges from the history; the text says where.
        """
        if self.divergence is not None:
            raise NonDeterminismError(str(self))

    def __str__(self) -> str:
        whose = f"Instance '{self.instance_id}' of '{self.name}'"
        what = "replays to its recorded decisions" if self.divergence is None else f"diverges: {self.divergence}"
        return "\n".join([f"{whose} {what}", *(f"  note: {note}" for note in self.notes)])


def end_of(run: OrchestrationRun) -> Complete | None:
    """The end that the code has decided, if it has."""
    return next((item for item in run.pending.values() if isinstance(item, Complete)), None)


def other_end(
    run: OrchestrationRun, recorded: OrchestrationStatus, result: str | None, position: int
) -> Divergence | None:
    """The history has ended here: has the code, and in the same way?"""
    end = end_of(run)
    if end is not None and end.status is recorded:
        return None
    expected = f"the end of the orchestration, {recorded.name}" + (f" with {_short(result)}" if result else "")
    if end is not None:
        instead = f"the end, {end.status.name}" + (f" with {_short(end.result)}" if end.result else "")
    else:
        instead = _undecided(run)
    return Divergence(position, expected, instead, run.orchestrator.name)


def concluded(outcome: ReplayOutcome, run: OrchestrationRun, recorded: str | None, *, has_ended: bool) -> ReplayOutcome:
    """The outcome with what the code came to, and what differs without diverging.

    Args:
        recorded: output of the history, None if it is not known.
        has_ended: the history has an end.
    """
    end = end_of(run)
    notes = list(outcome.notes)
    if outcome.divergence is None:
        if has_ended and end is not None and recorded is not None and not _same_text(end.result, recorded):
            notes.append(f"the code now returns {_short(end.result or 'nothing')}, recorded is {_short(recorded)}")
        if not has_ended and run.pending and not run.is_suspended:
            notes.append(f"beyond the end of the history the code goes on: {_undecided(run)}")
    return replace(
        outcome,
        status=end.status if end is not None else OrchestrationStatus.Running,
        output=end.result if end is not None else None,
        notes=tuple(notes),
    )


def _undecided(run: OrchestrationRun) -> str:
    decisions: list[Decision] = list(run.pending.values())
    return ", ".join(describe(item) for item in decisions) if decisions else "nothing: it still waits"


def _same_text(one: str | None, other: str) -> bool:
    """The texts are equal, or mean the same JSON."""
    try:
        return one == other or (one is not None and bool(json.loads(one) == json.loads(other)))
    except ValueError:
        return False


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
