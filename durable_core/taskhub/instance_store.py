"""Reading and writing the Instances table of one hub (task-hub 5, 8)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from durable_core.core.entity_ids import is_entity
from durable_core.core.history import ExecutionStarted, ExecutionTerminated, HistoryEvent
from durable_core.core.messages import TaskMessage
from durable_core.errors import AlreadyExistsError, MissingBlobError, NotFoundError, PreconditionFailedError
from durable_core.storage.base import ANY, Entity, TableStore
from durable_core.taskhub import instance_table
from durable_core.taskhub.history_table import OVERFLOW_UNITS
from durable_core.taskhub.instance_query import InstanceFilter, InstancePage
from durable_core.taskhub.instance_table import PROJECTION, InstanceStatus, Urls
from durable_core.taskhub.keys import escape_key, quote
from durable_core.taskhub.names import HubNames
from durable_core.taskhub.payloads import PayloadStore, history_blob
from durable_core.taskhub.wire import decode

logger = logging.getLogger("durable_core.taskhub")


class InstanceStore:
    """The Instances table of one hub."""

    def __init__(self, tables: TableStore, names: HubNames, payloads: PayloadStore, now: Callable[[], int]) -> None:
        self._tables = tables
        self._names = names
        self._payloads = payloads
        self._now = now

    async def get(self, instance_id: str, *, with_payloads: bool) -> InstanceStatus | None:
        """The instance's row, None if there is none.

        Args:
            with_payloads: also read the input, and follow blob references of input and output.
        """
        status = await self._row(instance_id, () if with_payloads else PROJECTION)
        return await self.filled(status) if with_payloads and status is not None else status

    async def _row(self, instance_id: str, select: Sequence[str] = ()) -> InstanceStatus | None:
        filter = f"PartitionKey eq {quote(escape_key(instance_id))}"
        page = await self._tables.query(self._names.instances, filter, select=select, top=1)
        return instance_table.read_status(page.rows[0]) if page.rows else None

    async def page(
        self,
        wanted: InstanceFilter,
        *,
        top: int | None = None,
        continuation: str | None = None,
        with_payloads: bool = True,
    ) -> InstancePage:
        """One page of instances in the order of their ids: one query, and the blobs of large values.

        Args:
            top: at most this many; the service's own limit (1,000) if None.
            continuation: of the page before.
            with_payloads: also read inputs, and follow blob references of inputs and outputs.

        Raises:
            UndecodableMessageError: a row cannot be read.
        """
        page = await self._tables.query(
            self._names.instances,
            wanted.odata(),
            select=() if with_payloads else PROJECTION,
            top=top,
            continuation=continuation,
        )
        instances = [instance_table.read_status(row) for row in page.rows]
        if with_payloads:
            instances = list(await asyncio.gather(*(self.filled(status) for status in instances)))
        return InstancePage(instances, page.continuation)

    async def filled(self, status: InstanceStatus) -> InstanceStatus:
        """``status`` with the texts that its input and output refer to, or a newer one if that is not there any more.

        The texts of an instance that is being purged, or whose purge was cut off, go before its row: they are None.

        Raises:
            UndecodableMessageError: a text is missing without such a reason, or cannot be read.
        """
        while True:
            try:
                return replace(
                    status, input=await self._payload(status.input), output=await self._payload(status.output)
                )
            except MissingBlobError as error:
                now = await self._row(status.instance_id)
                if now is not None and now.etag != status.etag:
                    status = now  # its values have been replaced meanwhile
                    continue
                if now is not None and not status.runtime_status.is_finished and not is_entity(status.instance_id):
                    raise
                text = "Instance '%s' is shown without its values: it is being purged, or has to be purged again (%s)"
                logger.warning(text, status.instance_id, error)
                return replace(status, input=None, output=None)

    async def _payload(self, value: str | None) -> str | None:
        blob = self._payloads.name_of(value) if value else None
        if blob is None:
            return value
        text = await self._payloads.get(blob)
        if not self._payloads.is_message_document(blob):
            return text
        message: TaskMessage | None = decode(text).task_message
        if message is None or not isinstance(message.event, ExecutionStarted):
            return value
        return message.event.input

    async def create(self, event: ExecutionStarted, existing: InstanceStatus | None, input_url: str | None) -> str:
        """Write the row of a new instance, or replace ``existing`` if nobody changed it meanwhile; returns its ETag.

        Args:
            input_url: URL of the start message's blob, if it has one.

        Raises:
            AlreadyExistsError, PreconditionFailedError, NotFoundError: somebody else was faster.
        """
        own_blob: str | None = None
        if input_url is None and event.input is not None and _utf16_units(event.input) > OVERFLOW_UNITS:
            # The start message fits its queue, the input does not fit its column: keep it in a blob of its own, under
            # the name that a checkpoint would give it, so that a status query can follow the URL at once.
            own_blob = history_blob(escape_key(event.instance.instance_id), "", "Input", "Input", self._payloads.random)
            await self._payloads.put(own_blob, event.input)
            input_url = self._payloads.url(own_blob)
        row = instance_table.created(event, hub=self._names.hub, now=self._now(), input_url=input_url)
        try:
            if existing is None:
                return await self._tables.insert(self._names.instances, row)
            return await self._tables.replace(self._names.instances, row, etag=existing.etag)
        except (AlreadyExistsError, PreconditionFailedError, NotFoundError):
            # A try whose answer was lost may have written the row: then it is ours, and nobody was faster.
            stands = await self.get(event.instance.instance_id, with_payloads=False)
            if stands is None or stands.execution_id != event.instance.execution_id:
                if own_blob is not None:
                    await self._payloads.delete(own_blob)
                raise
            return stands.etag

    def checkpoint(
        self,
        instance_id: str,
        execution_id: str | None,
        events: Sequence[HistoryEvent],
        custom_status: str | None,
        urls: Urls,
        *,
        keeps_status: bool = False,
    ) -> Entity:
        """The merge that belongs to a checkpoint; see ``instance_table.checkpoint``.

        Args:
            keeps_status: without a custom status the one that the row shows stays (behaviour 50).
        """
        row = instance_table.checkpoint(
            instance_id, execution_id, events, custom_status, urls, hub=self._names.hub, now=self._now()
        )
        if keeps_status and custom_status is None:
            del row["CustomStatus"]
        return row

    def merge(self, entity: Entity, etag: str | None) -> Awaitable[str]:
        """Merge into a row, and only as it is known: storage may act on a write when newer ones stand there.

        Args:
            etag: the row's; None if there is none, ``ANY`` if it is not known, and has to be read.

        Raises:
            AlreadyExistsError, NotFoundError, PreconditionFailedError: there is a row, or none of that ETag.
        """
        return self._write(self._tables.merge, entity, etag)

    def replace(self, entity: Entity, etag: str | None) -> Awaitable[str]:
        """Replace a row; ETag and errors as in ``merge``."""
        return self._write(self._tables.replace, entity, etag)

    async def _write(self, change: Callable[..., Awaitable[str]], entity: Entity, etag: str | None) -> str:
        if etag is None:
            return await self._tables.insert(self._names.instances, entity)
        known = etag if etag != ANY else await self._etag(entity)
        return await change(self._names.instances, entity, etag=known)

    async def _etag(self, entity: Entity) -> str:
        filter = f"PartitionKey eq {quote(str(entity['PartitionKey']))}"
        page = await self._tables.query(self._names.instances, filter, select=("PartitionKey",), top=1)
        if not page.rows:
            raise NotFoundError(f"there is no row of {entity['PartitionKey']!r}")
        return page.rows[0].etag

    async def delete(self, instance_id: str, etag: str) -> None:
        """Delete the row.

        Raises:
            NotFoundError, PreconditionFailedError: there is no row of that ETag.
        """
        await self._tables.delete(self._names.instances, escape_key(instance_id), "", etag=etag)

    async def terminate(self, instance_id: str, event: ExecutionTerminated, etag: str) -> bool:
        """End an instance that never ran; False if it has no row (task-hub 6.5).

        Raises:
            PreconditionFailedError: its row has another ETag by now.
        """
        reason_url = None
        if event.input is not None and _utf16_units(event.input) > OVERFLOW_UNITS:
            name = history_blob(escape_key(instance_id), "", "Output", "Output", self._payloads.random)
            await self._payloads.put(name, event.input)
            reason_url = self._payloads.url(name)
        row = instance_table.terminated_without_history(instance_id, event, now=self._now(), reason_url=reason_url)
        try:
            await self._tables.merge(self._names.instances, row, etag=etag)
        except NotFoundError:
            return False
        return True


def _utf16_units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
