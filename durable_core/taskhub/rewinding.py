"""Taking a failed run back in storage, children included (task-hub 8.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from durable_core.core.history import (
    ExecutionCompleted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
)
from durable_core.core.messages import TaskMessage
from durable_core.core.rewind import RewindPlan, plan_rewind
from durable_core.core.state import RuntimeState
from durable_core.errors import InvalidOperationError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import Entity, Operation, Row, Verb
from durable_core.taskhub import instance_table
from durable_core.taskhub.history_table import MAX_ROWS, assemble, read_row, sentinel_row
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.taskhub.keys import escape_key

_SERVICE_COLUMNS = frozenset({"Timestamp", "odata.etag"})


@dataclass(slots=True)
class Rewound:
    """What has to be sent after the histories were rewound, and the rows to be marked after that.

    Attributes:
        wakes: instances that wait for nothing but a nudge.
        answers: what children said after their parent had ended, once more.
        rows: rows that still say Failed.
    """

    wakes: list[str] = field(default_factory=list)
    answers: list[TaskMessage] = field(default_factory=list)
    rows: list[InstanceStatus] = field(default_factory=list)


class Rewinder:
    """Rewinds instances of one hub, in three steps: histories, messages (which the caller sends), rows.

    A crash between any two of them is mended by doing it all again, which the row that still says Failed allows: a
    history that was rewound already is only woken once more.
    """

    def __init__(self, hub: TaskHub) -> None:
        self._hub = hub

    async def rewind(self, row: InstanceStatus) -> Rewound:
        """Rewind the history of a failed instance, those of the failed children that ended it first.

        Raises:
            InvalidOperationError: somebody else changed a history meanwhile, or an instance failed inside a critical
                section.
        """
        rewound = Rewound()
        await self._rewind(row.instance_id, row, rewound)
        return rewound

    async def mark(self, rewound: Rewound) -> None:
        """Let the rows say that the instances go on, unless a worker has said so already."""
        for row in rewound.rows:
            try:
                await self._hub.account.tables.merge(
                    self._hub.names.instances,
                    instance_table.rewound(row.instance_id, now=self._hub.now()),
                    etag=row.etag,
                )
            except (PreconditionFailedError, NotFoundError):
                continue

    async def _rewind(self, instance_id: str, row: InstanceStatus | None, rewound: Rewound) -> None:
        loaded = assemble(await self._hub.history.rows(instance_id))
        events = [read_row(row.values) for row in loaded.rows]
        plan = plan_rewind(events)
        if plan.is_unlocked:
            raise InvalidOperationError(
                f"Instance '{instance_id}' failed inside a critical section and cannot be rewound: its locks were "
                "given back when it failed, and others may have changed the entities since. Start it anew."
            )
        is_new = bool(plan.undone)
        if not is_new:
            plan = RewindPlan(failed_children=_open_children(events))  # an earlier try may not have come to them
        owner = OrchestrationInstance(instance_id, loaded.execution_id)
        for index, child in (*plan.failed_children.items(), *plan.open_children.items()):
            status = await self._hub.instances.get(child, with_payloads=True)
            # The history tells: the row may be behind it.
            end = RuntimeState((await self._hub.history.load(child)).events).completed
            if index in plan.open_children:
                if end is not None or (status is not None and status.runtime_status.is_finished):
                    rewound.answers.append(_answer(status, end, events[index], owner, self._hub.now()))
            elif status is None and end is None:
                if is_new:
                    plan.undone.add(index)  # it was purged, and is started anew
            elif end is None or end.status is OrchestrationStatus.Failed:
                await self._rewind(child, status, rewound)
            else:
                rewound.answers.append(_answer(status, end, events[index], owner, self._hub.now()))
        await self._write(escape_key(instance_id), loaded.execution_id or "", loaded.rows, loaded.etag, plan)
        rewound.wakes.append(instance_id)
        if row is not None:
            rewound.rows.append(row)

    async def _write(
        self, key: str, execution_id: str, rows: Sequence[Row], etag: str | None, plan: RewindPlan
    ) -> None:
        """Replace the rows under their own ETags; the sentinel's moves with the last of them (design rule 3)."""
        changed = [
            Operation(Verb.REPLACE, _undone(row) if index in plan.undone else _marked(row), row.etag)
            for index, row in enumerate(rows)
            if index in plan.undone or index in plan.failed_children
        ]
        if not plan.undone or not changed or etag is None:
            return
        parts = [changed[begin : begin + MAX_ROWS] for begin in range(0, len(changed), MAX_ROWS)]
        sentinel = sentinel_row(key, execution_id, complete_at=self._hub.now())
        parts[-1] = [*parts[-1], Operation(Verb.MERGE, sentinel, etag)]
        try:
            for part in parts:
                await self._hub.account.tables.transaction(self._hub.names.history, part)
        except (PreconditionFailedError, NotFoundError) as error:
            raise InvalidOperationError(
                "The instance's history changed while it was being rewound; ask for its status and try again."
            ) from error


def _open_children(events: Sequence[HistoryEvent]) -> dict[int, str]:
    """Children of a running instance that have not answered, by the position of the event that created them."""
    waiting = RuntimeState(events).open_children()
    return {
        index: waiting[event.event_id]
        for index, event in enumerate(events)
        if isinstance(event, SubOrchestrationInstanceCreated) and event.event_id in waiting
    }


def _undone(row: Row) -> Entity:
    return {**_own(row), "Reason": f"Rewound: {row.values['EventType']!s}", "EventType": "GenericEvent"}


def _marked(row: Row) -> Entity:
    return {**_own(row), "Reason": f"Rewound: {row.values['EventType']!s}"}


def _own(row: Row) -> Entity:
    return {name: value for name, value in row.values.items() if name not in _SERVICE_COLUMNS}


def _answer(
    status: InstanceStatus | None,
    end: ExecutionCompleted | None,
    created: HistoryEvent,
    owner: OrchestrationInstance,
    now: int,
) -> TaskMessage:
    """What a child that has ended says to its parent; one that never ran is known by its row alone."""
    how = end.status if end is not None else status.runtime_status if status is not None else None
    text = end.result if end is not None else status.output if status is not None else None
    event: HistoryEvent
    if how is OrchestrationStatus.Completed:
        event = SubOrchestrationInstanceCompleted(timestamp=now, task_scheduled_id=created.event_id, result=text)
    else:
        event = SubOrchestrationInstanceFailed(
            timestamp=now,
            task_scheduled_id=created.event_id,
            reason=text,
            failure_details=end.failure_details if end is not None else None,
        )
    return TaskMessage(event, owner)
