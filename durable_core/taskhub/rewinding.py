"""Taking a failed run back in storage, children included (task-hub 8.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from durable_core.core.history import (
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
)
from durable_core.core.messages import TaskMessage
from durable_core.core.rewind import RewindPlan, plan_rewind
from durable_core.errors import InvalidOperationError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import ANY, Entity, Operation, Row, Verb
from durable_core.taskhub.history_table import MAX_ROWS, assemble, read_row, sentinel_row
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.instance_table import InstanceStatus, rewound
from durable_core.taskhub.keys import escape_key

_SERVICE_COLUMNS = frozenset({"Timestamp", "odata.etag"})


@dataclass(frozen=True, slots=True)
class Rewound:
    """What has to be sent after a rewind.

    Attributes:
        wakes: instances that wait for nothing but a nudge.
        answers: what children said after their parent had ended, once more.
    """

    wakes: Sequence[str]
    answers: Sequence[TaskMessage]


class Rewinder:
    """Rewinds instances of one hub; whoever calls it sends the messages that it returns."""

    def __init__(self, hub: TaskHub) -> None:
        self._hub = hub

    async def rewind(self, instance_id: str) -> Rewound:
        """Rewind one failed instance and the failed children that ended it.

        Calling it again after a crash half-way is safe: the history is changed before the row that says Failed.

        Raises:
            InvalidOperationError: somebody else changed the history meanwhile.
        """
        wakes: list[str] = []
        answers: list[TaskMessage] = []
        await self._rewind(instance_id, wakes, answers)
        return Rewound(wakes, answers)

    async def _rewind(self, instance_id: str, wakes: list[str], answers: list[TaskMessage]) -> None:
        key = escape_key(instance_id)
        loaded = assemble(await self._hub.history.rows(instance_id))
        events = [read_row(row.values) for row in loaded.rows]
        plan = plan_rewind(events)
        owner = OrchestrationInstance(instance_id, loaded.execution_id)
        failed: list[str] = []
        for index, child in plan.failed_children.items():
            status = await self._hub.instances.get(child, with_payloads=True)
            if status is None:
                plan.undone.add(index)  # it was purged, and is started anew
            elif status.runtime_status is OrchestrationStatus.Failed:
                failed.append(child)
            else:
                self._answer_again(status, events[index], owner, answers)
        for index, child in plan.open_children.items():
            status = await self._hub.instances.get(child, with_payloads=True)
            if status is not None:
                self._answer_again(status, events[index], owner, answers)
        await self._write(key, loaded.execution_id or "", loaded.rows, loaded.etag, plan)
        try:
            await self._hub.account.tables.merge(
                self._hub.names.instances, rewound(instance_id, now=self._hub.now()), etag=ANY
            )
        except NotFoundError as error:
            raise InvalidOperationError(f"Instance '{instance_id}' was purged meanwhile.") from error
        for child in failed:
            await self._rewind(child, wakes, answers)
        if not failed or plan.open_children:
            wakes.append(instance_id)

    def _answer_again(
        self, status: InstanceStatus, created: HistoryEvent, owner: OrchestrationInstance, answers: list[TaskMessage]
    ) -> None:
        """What a child said after its parent had ended was dropped; one that still runs will answer by itself."""
        if status.runtime_status.is_finished:
            answers.append(_answer(status, created, owner, self._hub.now()))

    async def _write(
        self, key: str, execution_id: str, rows: Sequence[Row], etag: str | None, plan: RewindPlan
    ) -> None:
        """Replace the rows under their own ETags; the sentinel's moves with the last of them (design rule 3)."""
        changed = [
            Operation(Verb.REPLACE, _undone(row) if index in plan.undone else _marked(row), row.etag)
            for index, row in enumerate(rows)
            if index in plan.undone or index in plan.failed_children
        ]
        if not changed or etag is None:
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


def _undone(row: Row) -> Entity:
    return {**_own(row), "Reason": f"Rewound: {row.values['EventType']!s}", "EventType": "GenericEvent"}


def _marked(row: Row) -> Entity:
    return {**_own(row), "Reason": f"Rewound: {row.values['EventType']!s}"}


def _own(row: Row) -> Entity:
    return {name: value for name, value in row.values.items() if name not in _SERVICE_COLUMNS}


def _answer(status: InstanceStatus, created: HistoryEvent, owner: OrchestrationInstance, now: int) -> TaskMessage:
    event: HistoryEvent
    if status.runtime_status is OrchestrationStatus.Completed:
        event = SubOrchestrationInstanceCompleted(
            timestamp=now, task_scheduled_id=created.event_id, result=status.output
        )
    else:
        event = SubOrchestrationInstanceFailed(timestamp=now, task_scheduled_id=created.event_id, reason=status.output)
    return TaskMessage(event, owner)
