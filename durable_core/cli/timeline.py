"""An instance's history as a timeline: one line a step, with a bar for the time that it took."""

from __future__ import annotations

from collections.abc import Sequence

from durable_core.cli.output import Cell, exact, one_line, print_table, span, styled
from durable_core.core import ticks
from durable_core.core.history import HistoryEvent
from durable_core.core.steps import Step, StepKind, steps_of

_BAR = 24
_PREPOSITIONS = {
    StepKind.CALL: "on",
    StepKind.SIGNAL: "to",
    StepKind.SENT: "to",
    StepKind.CHILD: "as",
}
_INSTANT, _DONE, _WAITING = "·", "━", "╌"


def print_timeline(events: Sequence[HistoryEvent], now: int) -> None:
    """Draw the steps; what is still waited for reaches to ``now`` (ticks)."""
    steps = steps_of(events)
    if not steps:
        return
    begin = steps[0].begin
    is_over = any(step.kind is StepKind.ENDED for step in steps)
    end = max(step.end or step.begin for step in steps) if is_over else max(now, steps[-1].begin)
    print_table(
        ["At", "Took", "", "Step", ""],
        [
            (
                f"{(step.begin - begin) / ticks.PER_SECOND:.3f} s",
                _took(step, is_over),
                _bar(step, begin, end),
                _title(step),
                styled(_told(step), "Failed" if step.is_failure else None),
            )
            for step in steps
        ],
        right=["At", "Took"],
        cut=True,
    )


def _took(step: Step, is_over: bool) -> str:
    if step.end is None:
        return "never" if is_over else "waits"
    return "" if step.end == step.begin else span((step.end - step.begin) / ticks.PER_SECOND)


def _bar(step: Step, begin: int, end: int) -> str:
    whole = max(1, end - begin)
    first = min(_BAR - 1, (step.begin - begin) * _BAR // whole)
    if step.end == step.begin:
        return " " * first + _INSTANT
    last = _BAR if step.end is None else max(first + 1, -((begin - step.end) * _BAR // whole))
    return " " * first + (_WAITING if step.end is None else _DONE) * (last - first)


def _title(step: Step) -> Cell:
    text = f"{step.kind.value} {step.what}".strip()
    if step.kind is StepKind.TIMER:
        text = f"timer {exact(step.due)}"
    elif step.kind in _PREPOSITIONS:
        text += f" {_PREPOSITIONS[step.kind]} {step.target}"
    if step.kind is StepKind.ENDED:
        return styled(step.what)
    return styled(text, "Failed" if step.is_failure else "Running" if step.is_open else None)


def _told(step: Step) -> str:
    given = one_line(step.input, 40) if step.input not in (None, "") else ""
    got = one_line(step.result, 40) if step.result not in (None, "") else ""
    return f"{given} → {got}" if got else given
