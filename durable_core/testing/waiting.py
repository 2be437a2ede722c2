"""What an instance waits for, in words."""

from __future__ import annotations

from collections.abc import Sequence

from durable_core.core import ticks
from durable_core.core.awaited import awaited_events
from durable_core.core.history import HistoryEvent, SubOrchestrationInstanceCreated, TaskScheduled, TimerCreated
from durable_core.core.replay import Orchestrator
from durable_core.core.state import RuntimeState


def waits_for(history: Sequence[HistoryEvent], orchestrator: Orchestrator | None) -> list[str]:
    """Everything that is open in a history that has not ended; external events are found by a replay."""
    state = RuntimeState(history)
    activities, children = state.open_activities(), state.open_children()
    found = []
    for event in history:
        if isinstance(event, TaskScheduled) and event.event_id in activities:
            found.append(f"activity '{event.name}'")
        elif isinstance(event, SubOrchestrationInstanceCreated) and event.event_id in children:
            found.append(f"sub-orchestration '{event.name}', instance '{event.instance_id}'")
        elif isinstance(event, TimerCreated) and not state.has_reply(event.event_id):
            found.append(f"the timer at {ticks.to_datetime(event.fire_at):%Y-%m-%d %H:%M:%S}")
    found.extend(f"an answer of the entity '{target}'" for target in state.open_requests().values())
    if orchestrator is not None:
        found.extend(f"the external event '{name}'" for name in awaited_events(history, orchestrator))
    return found
