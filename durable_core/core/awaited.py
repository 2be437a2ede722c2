"""Which external events an orchestration waits for: its history does not record that, its code knows."""

from __future__ import annotations

from collections.abc import Sequence

from durable_core.core.history import HistoryEvent
from durable_core.core.replay import OrchestrationRun, Orchestrator
from durable_core.core.state import RuntimeState


def awaited_events(history: Sequence[HistoryEvent], orchestrator: Orchestrator) -> dict[str, int]:
    """Replay a history that has not ended, and see for which external events the code then waits.

    Returns:
        When the code began to wait (ticks), by the event's name; answers of entities are left out. Empty if it waits
        for none, or if today's code does something else than the history records.
    """
    run = OrchestrationRun(orchestrator, history)
    since: dict[str, int] = {}
    try:
        for event in history:
            run.feed([event], replaying=True)
            since = {name: since.get(name, run.current_time) for name in run.awaited_events()}
        # Decisions that the history lacks are as much of a divergence as a mismatch.
        if run.mismatch is not None or (run.pending and not run.is_suspended):
            return {}
    finally:
        run.close()
    requests = RuntimeState(history).open_requests()
    return {name: begin for name, begin in since.items() if name not in requests}
