"""Removing what is left of finished instances: history rows, large-message blobs, the row (task-hub 8.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from durable_core.errors import NotFoundError, PreconditionFailedError
from durable_core.storage.base import Operation, Row, Verb
from durable_core.taskhub.history_table import BLOB_COLUMNS
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.taskhub.keys import SENTINEL, escape_key

_TRANSACTION = 100
"""Operations that the service takes in one transaction."""
_COLUMNS = ("PartitionKey", "RowKey", "ExecutionId", *sorted(BLOB_COLUMNS))


class Purger:
    """Purges instances of one hub.

    What belongs to the finished run is read first, and only that goes: a new run of the id may begin at any time, and
    storage may act on a deletion when it has begun. History goes first, the sentinel in the first transaction, so that
    a worker that still holds the instance cannot commit; the row goes last, so that a purge that was cut off can be
    found and done again.
    """

    def __init__(self, hub: TaskHub) -> None:
        self._hub = hub

    async def purge(self, status: InstanceStatus) -> bool:
        """Remove a finished instance; False if it was started again, or removed by somebody else, meanwhile.

        Args:
            status: its row.
        """
        try:
            blobs = await self._blobs(status.instance_id)
            rows = await self._rows(status.instance_id)
            if not _are_of(status, rows, blobs):
                confirmed = await self._confirmed(status)
                if confirmed is None:
                    return False
                status = confirmed
            if not await self._delete_history(rows):
                return False
            await asyncio.gather(*(self._hub.payloads.delete(name) for name in blobs))
            return await self._delete_instance(status)
        except NotFoundError:
            return False

    async def _blobs(self, instance_id: str) -> list[str]:
        folders = {f"{instance_id}/", f"{escape_key(instance_id)}/"}
        return [name for folder in sorted(folders) for name in await self._hub.payloads.names(folder)]

    async def _rows(self, instance_id: str) -> list[Row]:
        """The history's rows, the sentinel first."""
        rows = await self._hub.history.rows(instance_id, select=_COLUMNS)
        return sorted(rows, key=lambda row: row.values["RowKey"] != SENTINEL)

    async def _confirmed(self, status: InstanceStatus) -> InstanceStatus | None:
        """The row as it stands after what was read so far; None if it is another run's.

        It is written once more, as it is, so that a start that has read it before, and put a blob, is refused and tries
        again with a blob of another name.
        """
        instances = self._hub.instances
        nothing = {"PartitionKey": escape_key(status.instance_id), "RowKey": ""}
        now: InstanceStatus | None = status
        while now is not None and _is_same(now, status):
            try:
                return replace(now, etag=await instances.merge(nothing, now.etag))
            except PreconditionFailedError:
                now = await instances.get(status.instance_id, with_payloads=False)
        return None

    async def _delete_history(self, rows: Sequence[Row]) -> bool:
        """False if the history was changed since these rows were read: somebody goes on with it."""
        for begin in range(0, len(rows), _TRANSACTION):
            operations = [
                Operation(Verb.DELETE, {name: row.values[name] for name in ("PartitionKey", "RowKey")}, row.etag)
                for row in rows[begin : begin + _TRANSACTION]
            ]
            try:
                await self._hub.account.tables.transaction(self._hub.names.history, operations)
            except PreconditionFailedError:
                return False
            except NotFoundError:
                # One of them was gone already: an earlier try, or another purge, had deleted it.
                if not all(await asyncio.gather(*map(self._delete_row, operations))):
                    return False
        return True

    async def _delete_row(self, operation: Operation) -> bool:
        assert operation.etag is not None
        key, row_key = str(operation.entity["PartitionKey"]), str(operation.entity["RowKey"])
        try:
            await self._hub.account.tables.delete(self._hub.names.history, key, row_key, etag=operation.etag)
        except NotFoundError:
            return True
        except PreconditionFailedError:
            return False
        return True

    async def _delete_instance(self, status: InstanceStatus) -> bool:
        """Delete the row, again if it was only written once more: a worker repairs rows that may be behind."""
        while True:
            try:
                await self._hub.instances.delete(status.instance_id, status.etag)
                return True
            except PreconditionFailedError:
                now = await self._hub.instances.get(status.instance_id, with_payloads=False)
                if now is None or not _is_same(now, status):
                    return False
                status = now


def _is_same(now: InstanceStatus, before: InstanceStatus) -> bool:
    return (now.execution_id, now.runtime_status) == (before.execution_id, before.runtime_status)


def _are_of(status: InstanceStatus, rows: Sequence[Row], blobs: Collection[str]) -> bool:
    """The history is of the run that the row tells of, and refers to all of the blobs.

    Otherwise it may be that of a run before, if that of the row never ran, or of a new one that has just begun; and a
    blob may carry a message to a new one.
    """
    if rows and rows[0].values.get("ExecutionId") != status.execution_id:
        return False
    return set(blobs) <= {row.values.get(column) for row in rows for column in BLOB_COLUMNS}
