"""Instances that have not moved for long: what they wait for, since when, and whether it can still come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from durable_core.core.entity_ids import EntityId
from durable_core.core.history import LIVE, HistoryEvent, OrchestrationStatus
from durable_core.core.steps import Step, StepKind, steps_of
from durable_core.core.ticks import PER_SECOND, format_message
from durable_core.errors import NotFoundError
from durable_core.taskhub.entity_store import EntityStore
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.instance_query import InstanceFilter
from durable_core.taskhub.instance_table import InstanceStatus

_LATE = 60 * PER_SECOND
"""Ticks by which a timer or start may be late without being called so."""
_AT_ONCE = 8

EventNames = Callable[[str, Sequence[HistoryEvent]], Mapping[str, int] | None]
"""For an orchestrator's name and a history: the external events that its code waits for, with since when (ticks); None
if there is no code to ask."""


def no_code(name: str, history: Sequence[HistoryEvent]) -> None:
    """The ``EventNames`` where no app is at hand."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that an instance waits for.

    Attributes:
        text: what it is, for people.
        since: ticks.
        trouble: why it will not come by itself; None if it may.
    """

    text: str
    since: int
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Stuck:
    """An instance that has not moved for long."""

    status: InstanceStatus
    reasons: Sequence[Reason]

    @property
    def is_trouble(self) -> bool:
        """Something that it waits for will not come by itself."""
        return any(reason.trouble for reason in self.reasons)


async def find_stuck(
    hub: TaskHub, *, unmoved_since: int, most: int, events: EventNames = no_code
) -> tuple[list[Stuck], int]:
    """Live instances whose row has not changed since ``unmoved_since`` (ticks), by id.

    Args:
        most: look into this many.
        events: names the external events, which histories do not record.

    Returns:
        Them, and how many there are in all.

    Raises:
        NotFoundError: the hub does not exist.
    """
    found: list[InstanceStatus] = []
    number = 0
    continuation: str | None = None
    wanted = InstanceFilter(created_to=unmoved_since, statuses=sorted(LIVE))
    while True:
        page = await hub.instances.page(wanted, continuation=continuation, with_payloads=False)
        for status in page.instances:
            if (status.last_updated_time or 0) <= unmoved_since:
                number += 1
                if len(found) < most:
                    found.append(status)
        continuation = page.continuation
        if continuation is None:
            break
    look = _Look(hub, events)
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(status: InstanceStatus) -> Stuck:
        async with slots:
            return Stuck(status, await look.reasons(status))

    return list(await asyncio.gather(*map(one, found))), number


class _Look:
    def __init__(self, hub: TaskHub, events: EventNames) -> None:
        self._hub = hub
        self._events = events
        self._entities = EntityStore(hub)
        self._lengths: dict[str, int | None] = {}

    async def reasons(self, status: InstanceStatus) -> list[Reason]:
        moved = status.last_updated_time or status.created_time or 0
        control = self._hub.names.control_queue(self._hub.partition_of(status.instance_id))
        if status.runtime_status is OrchestrationStatus.Pending:
            return [await self._pending(status, moved, control)]
        history = (await self._hub.history.load(status.instance_id)).events
        steps = steps_of(history)
        found = [await self._open(step, control) for step in steps if step.is_open]
        events = self._events(status.name, history) if steps else None
        found += [Reason(f"the external event '{name}'", since) for name, since in (events or {}).items()]
        if status.runtime_status is OrchestrationStatus.Suspended:
            suspended = [step for step in steps if step.kind is StepKind.SUSPENDED]
            since = suspended[-1].begin if suspended else moved
            why = f" ({suspended[-1].input})" if suspended and suspended[-1].input else ""
            return [Reason(f"is suspended{why}", since), *found]
        if not steps:
            return [Reason("has no history", moved, "its history is missing: purge it, or start it again")]
        if found:
            return found
        # An instance that waits for nothing that histories record waits for an event.
        why = "its name is known to the app's code only; run the doctor in the app's folder"
        if events is not None:
            why = "the app's code in this folder is not the one that waits; `durable replay` tells where it diverges"
        return [Reason(f"an external event ({why})", moved)]

    async def _pending(self, status: InstanceStatus, since: int, control: str) -> Reason:
        due = status.scheduled_start_time
        now = self._hub.now()
        if due is not None and due > now - _LATE:
            return Reason(f"its start at {_whole(due)}", since)
        trouble = None
        if await self._length(control) == 0:
            trouble = f"its start message is gone from queue {control}: terminate it or start it again"
        return Reason(f"a worker that takes its start from queue {control}", due or since, trouble)

    async def _open(self, step: Step, control: str) -> Reason:
        if step.kind is StepKind.ACTIVITY:
            trouble = None
            if await self._length(self._hub.names.work_items) == 0 and await self._length(control) == 0:
                trouble = "no message of it is left: `durable poison list`, or terminate the instance"
            return Reason(f"activity '{step.what}'", step.begin, trouble)
        if step.kind is StepKind.TIMER:
            due = step.due or step.begin
            late = due < self._hub.now() - _LATE
            trouble = "it is overdue: does a worker serve its partition?" if late else None
            return Reason(f"a timer that fires at {_whole(due)}", step.begin, trouble)
        if step.kind is StepKind.CHILD:
            return await self._child(step)
        return await self._entity(step)

    async def _child(self, step: Step) -> Reason:
        text = f"sub-orchestration '{step.what}', instance '{step.target}'"
        child = await self._hub.instances.get(step.target or "", with_payloads=False)
        if child is None:
            return Reason(text, step.begin, "there is no such instance: was it purged?")
        name = child.runtime_status.name
        if child.runtime_status.is_finished:
            return Reason(f"{text} ({name})", step.begin, "it has ended, and its answer has not arrived")
        return Reason(f"{text} ({name})", step.begin)

    async def _entity(self, step: Step) -> Reason:
        text = f"the lock on {step.what}" if step.kind is StepKind.LOCK else f"entity {step.target}: '{step.what}'"
        if step.kind is StepKind.LOCK:
            entities = [name.strip() for name in step.what.split(", ")]
        else:
            entities = [step.target or ""]
        for entity in entities:
            trouble = await self._lock_trouble(entity)
            if trouble is not None:
                return Reason(f"{text} ({trouble[0]})", step.begin, trouble[1])
        return Reason(text, step.begin)

    async def _lock_trouble(self, entity: str) -> tuple[str, str | None] | None:
        """Who holds an entity's lock, and what is wrong with that; None if nobody does."""
        try:
            record = await self._entities.get(EntityId.parse(entity))
        except ValueError:
            return None
        if record is None or record.locked_by is None:
            return None
        owner = await self._hub.instances.get(record.locked_by, with_payloads=False)
        held = f"{entity} is locked by '{record.locked_by}'"
        if owner is None or owner.runtime_status.is_finished:
            return held, "the owner of the lock is gone: `durable entities clean` releases it"
        return held, None

    async def _length(self, queue: str) -> int | None:
        """Messages in a queue, invisible ones included; None if there is no such queue."""
        if queue not in self._lengths:
            try:
                self._lengths[queue] = await self._hub.account.queues.length(queue)
            except NotFoundError:
                self._lengths[queue] = None
        return self._lengths[queue]


def _whole(moment: int) -> str:
    return format_message(moment // PER_SECOND * PER_SECOND)
