"""Removing what is left of finished instances: history rows, large-message blobs, the row (task-hub 8.6)."""

from __future__ import annotations

import asyncio

from durable_core.errors import NotFoundError, PreconditionFailedError
from durable_core.storage.base import ANY, Operation, Verb
from durable_core.taskhub.hub import TaskHub
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.taskhub.keys import SENTINEL, escape_key

_TRANSACTION = 100
"""Operations that the service takes in one transaction."""


class Purger:
    """Purges instances of one hub.

    History goes first, the sentinel in the first transaction under its ETag, so that a worker that still holds the
    instance cannot commit; the row goes last, so that a purge that was cut off can be found and done again.
    """

    def __init__(self, hub: TaskHub) -> None:
        self._hub = hub

    async def purge(self, status: InstanceStatus) -> bool:
        """Remove a finished instance; False if it was started again, or removed by somebody else, meanwhile.

        Args:
            status: its row.
        """
        try:
            if not await self._purge_history(status.instance_id):
                return False
            await self._purge_blobs(status.instance_id)
            return await self._delete_instance(status)
        except NotFoundError:
            return False

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

    async def _purge_history(self, instance_id: str) -> bool:
        key = escape_key(instance_id)
        rows = await self._hub.history.rows(instance_id, select=("PartitionKey", "RowKey"))
        rows.sort(key=lambda row: row.values["RowKey"] != SENTINEL)
        for begin in range(0, len(rows), _TRANSACTION):
            operations = [
                Operation(
                    Verb.DELETE,
                    {"PartitionKey": key, "RowKey": row.values["RowKey"]},
                    row.etag if row.values["RowKey"] == SENTINEL else ANY,
                )
                for row in rows[begin : begin + _TRANSACTION]
            ]
            try:
                await self._hub.account.tables.transaction(self._hub.names.history, operations)
            except PreconditionFailedError:
                return False
            except NotFoundError:
                await asyncio.gather(*(self._delete_row(key, str(item.entity["RowKey"])) for item in operations))
        return True

    async def _delete_row(self, key: str, row_key: str) -> None:
        """One of a transaction's rows was gone already: an earlier try, or another purge, had deleted it."""
        try:
            await self._hub.account.tables.delete(self._hub.names.history, key, row_key)
        except NotFoundError:
            return

    async def _purge_blobs(self, instance_id: str) -> None:
        folders = {f"{instance_id}/", f"{escape_key(instance_id)}/"}
        for folder in sorted(folders):
            names = await self._hub.payloads.names(folder)
            await asyncio.gather(*(self._hub.payloads.delete(name) for name in names))


def _is_same(now: InstanceStatus, before: InstanceStatus) -> bool:
    return (now.execution_id, now.runtime_status) == (before.execution_id, before.runtime_status)
