"""How often a message was tried and never came to an end, as its queue tells it (design rule 9).

A queue counts receives. Most receives beyond the first are innocent: the message was put off because something that it
needs was not there yet, and then it stayed invisible for 2, 4, 8, … seconds (task-hub 6.8). What the message's age does
not explain in this way are receives whose worker vanished.
"""

from __future__ import annotations

from collections.abc import Sequence

from durable_core.core.history import ExecutionStarted, HistoryEvent, TimerFired
from durable_core.core.ticks import PER_SECOND
from durable_core.worker.delivery import Delivery
from durable_core.worker.message_leases import HeldMessage, back_off

SUSPECT = 3
"""Receives from which on a message is processed by itself, so that it drags no other one along."""


def cut_off(held: HeldMessage, now: int) -> int:
    """Receives of a message that surely ended without it being put off: a lower bound.

    Args:
        now: ticks on the storage service's clock.
    """
    message = held.data.task_message
    visible = max(held.inserted, _due(message.event)) if message is not None else held.inserted
    age = (now - visible) / PER_SECOND
    put_off = 0
    while (age := age - back_off(put_off + 1)) >= 0 and put_off < held.dequeue_count:
        put_off += 1
    return max(0, held.dequeue_count - 1 - put_off)


def _due(event: HistoryEvent) -> int:
    """When a delayed message was to become visible; 0 for the others."""
    if isinstance(event, TimerFired):
        return event.fire_at
    if isinstance(event, ExecutionStarted):
        return event.scheduled_start_time or 0
    return 0


def next_batch(inbox: Sequence[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
    """What to process next and what to leave: everything, but suspects one at a time."""
    for index, delivery in enumerate(inbox):
        if delivery.dequeue_count > SUSPECT:
            split = index or 1
            return list(inbox[:split]), list(inbox[split:])
    return list(inbox), []
