"""The three stores on azure-storage-queue, azure-data-tables and azure-storage-blob; imported when first needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote
from uuid import UUID

from durable_core.core import ticks
from durable_core.errors import PreconditionFailedError, UnavailableError
from durable_core.storage.base import (
    ANY,
    BlobProperties,
    CallCounter,
    DateTime,
    Entity,
    Guid,
    Int64,
    Operation,
    Page,
    QueueMessage,
    Receipt,
    Row,
    Value,
    Verb,
    check_transaction,
)
from durable_core.storage.settings import ConnectionSettings
from durable_core.storage.transport import error_for


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn the SDK's errors into ours."""
    from azure.core.exceptions import AzureError, HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        code = str(getattr(error, "error_code", "") or "").rpartition(".")[2]
        index = getattr(error, "index", None)
        raise error_for(error.status_code or 0, _plain(code), str(error.message), what, index=index) from error
    except AzureError as error:
        raise UnavailableError(f"{what} got no answer: {error}") from error


_CODES = {
    "LEASE_ALREADY_PRESENT": "LeaseAlreadyPresent",
    "LEASE_ID_MISMATCH_WITH_LEASE_OPERATION": "LeaseIdMismatchWithLeaseOperation",
    "POP_RECEIPT_MISMATCH": "PopReceiptMismatch",
}


def _plain(code: str) -> str:
    return _CODES.get(code, code)


class SdkQueues:
    """``QueueStore`` on azure-storage-queue."""

    def __init__(self, settings: ConnectionSettings, credential: Any, calls: CallCounter) -> None:
        from azure.storage.queue.aio import QueueServiceClient

        self._service: Any = QueueServiceClient(settings.queue_endpoint, credential=credential)
        self._calls = calls

    async def close(self) -> None:
        await self._service.close()

    async def create(self, queue: str) -> bool:
        from azure.core.exceptions import ResourceExistsError

        self._calls.add("queue.create")
        with _translated(f"creating queue {queue}"):
            try:
                await self._service.create_queue(queue)
            except ResourceExistsError as error:
                if "BeingDeleted" in str(error):
                    raise
                return False
        return True

    async def drop(self, queue: str) -> bool:
        from azure.core.exceptions import ResourceNotFoundError

        self._calls.add("queue.drop")
        with _translated(f"deleting queue {queue}"):
            try:
                await self._service.delete_queue(queue)
            except ResourceNotFoundError:
                return False
        return True

    async def names(self, prefix: str) -> Sequence[str]:
        self._calls.add("queue.names")
        with _translated("listing queues"):
            return sorted([found.name async for found in self._service.list_queues(name_starts_with=prefix)])

    async def put(self, queue: str, text: str, *, delay: int = 0, explicit_delay: bool = False) -> Receipt:
        self._calls.add("queue.put")
        with _translated(f"putting into queue {queue}"):
            sent = await self._queue(queue).send_message(text, visibility_timeout=delay or None, time_to_live=-1)
        return Receipt(sent.id, str(sent.pop_receipt), _ticks(sent.next_visible_on))

    async def get(self, queue: str, *, count: int, lease: int) -> Sequence[QueueMessage]:
        self._calls.add("queue.get")
        messages = []
        with _translated(f"receiving from queue {queue}"):
            pages = self._queue(queue).receive_messages(messages_per_page=count, visibility_timeout=lease).by_page()
            async for page in pages:
                messages = [_message(found) async for found in page]
                break
        if not messages:
            self._calls.empty_gets += 1
        return messages

    async def peek(self, queue: str, *, count: int = 1) -> Sequence[QueueMessage]:
        self._calls.add("queue.peek")
        with _translated(f"peeking into queue {queue}"):
            return [_message(found) for found in await self._queue(queue).peek_messages(count)]

    async def update(self, queue: str, receipt: Receipt, *, lease: int, text: str | None = None) -> Receipt:
        self._calls.add("queue.update")
        with _translated(f"updating a message of queue {queue}"):
            updated = await self._queue(queue).update_message(
                receipt.message_id, receipt.pop_receipt, content=text, visibility_timeout=lease
            )
        return Receipt(receipt.message_id, str(updated.pop_receipt), _ticks(updated.next_visible_on))

    async def delete(self, queue: str, receipt: Receipt) -> None:
        self._calls.add("queue.delete")
        with _translated(f"deleting a message of queue {queue}"):
            await self._queue(queue).delete_message(receipt.message_id, receipt.pop_receipt)

    async def length(self, queue: str) -> int:
        self._calls.add("queue.length")
        with _translated(f"measuring queue {queue}"):
            return (await self._queue(queue).get_queue_properties()).approximate_message_count or 0

    async def clear(self, queue: str) -> None:
        self._calls.add("queue.clear")
        with _translated(f"clearing queue {queue}"):
            await self._queue(queue).clear_messages()

    def _queue(self, name: str) -> Any:
        return self._service.get_queue_client(name)


def _message(found: Any) -> QueueMessage:
    return QueueMessage(
        Receipt(found.id, found.pop_receipt or "", _ticks(found.next_visible_on)),
        found.content,
        found.dequeue_count or 0,
        _ticks(found.inserted_on),
    )


def _ticks(value: datetime | None) -> int:
    return ticks.from_datetime(value) if value is not None else 0


class SdkTables:
    """``TableStore`` on azure-data-tables."""

    def __init__(self, settings: ConnectionSettings, credential: Any, calls: CallCounter) -> None:
        from azure.data.tables.aio import TableServiceClient

        self._service: Any = TableServiceClient(settings.table_endpoint, credential=credential)
        self._calls = calls

    async def close(self) -> None:
        await self._service.close()

    async def create(self, table: str) -> bool:
        from azure.core.exceptions import ResourceExistsError

        self._calls.add("table.create")
        with _translated(f"creating table {table}"):
            try:
                await self._service.create_table(table)
            except ResourceExistsError as error:
                if "BeingDeleted" in str(error):
                    raise
                return False
        return True

    async def drop(self, table: str) -> bool:
        self._calls.add("table.drop")
        if table not in await self.names(table):
            return False
        with _translated(f"deleting table {table}"):
            await self._service.delete_table(table)
        return True

    async def names(self, prefix: str) -> Sequence[str]:
        self._calls.add("table.names")
        with _translated("listing tables"):
            found = [table.name async for table in self._service.list_tables()]
        return sorted(name for name in found if name.startswith(prefix))

    async def insert(self, table: str, entity: Entity) -> str:
        self._calls.add("table.insert")
        with _translated(f"inserting into table {table}"):
            return _etag(await self._service.get_table_client(table).create_entity(_to_sdk(entity)))

    async def merge(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        from azure.data.tables import UpdateMode

        self._calls.add("table.merge")
        return await self._write(table, entity, etag, UpdateMode.MERGE)

    async def replace(self, table: str, entity: Entity, *, etag: str | None = None) -> str:
        from azure.data.tables import UpdateMode

        self._calls.add("table.replace")
        return await self._write(table, entity, etag, UpdateMode.REPLACE)

    async def _write(self, table: str, entity: Entity, etag: str | None, mode: Any) -> str:
        client = self._service.get_table_client(table)
        with _translated(f"writing to table {table}"):
            if etag is None:
                return _etag(await client.upsert_entity(_to_sdk(entity), mode=mode))
            return _etag(await client.update_entity(_to_sdk(entity), mode=mode, **_condition(etag)))

    async def delete(self, table: str, partition_key: str, row_key: str, *, etag: str = ANY) -> None:
        self._calls.add("table.delete")
        # The SDK swallows a missing row, so the low-level answer decides.
        with _translated(f"deleting from table {table}"):
            await self._service.get_table_client(table).submit_transaction(
                [("delete", {"PartitionKey": partition_key, "RowKey": row_key}, _condition(etag))]
            )

    async def transaction(self, table: str, operations: Sequence[Operation]) -> Sequence[str | None]:
        self._calls.add("table.transaction")
        check_transaction(operations)
        parts = [_to_sdk_operation(operation) for operation in operations]
        with _translated(f"a transaction on table {table}"):
            answers = await self._service.get_table_client(table).submit_transaction(parts)
        return [
            None if operation.verb is Verb.DELETE else _etag(answer)
            for operation, answer in zip(operations, answers, strict=True)
        ]

    async def query(
        self,
        table: str,
        filter: str = "",
        *,
        select: Sequence[str] = (),
        top: int | None = None,
        continuation: str | None = None,
    ) -> Page:
        self._calls.add("table.query")
        client = self._service.get_table_client(table)
        chosen: dict[str, Any] = {"select": list(select)} if select else {}
        with _translated(f"querying table {table}"):
            if filter:
                found = client.query_entities(filter, results_per_page=top, **chosen)
            else:
                found = client.list_entities(results_per_page=top, **chosen)
            token = (
                dict(zip(("PartitionKey", "RowKey"), continuation.split("\0", 1), strict=True))
                if continuation
                else None
            )
            pages = found.by_page(continuation_token=token)
            rows: list[Row] = []
            async for page in pages:
                rows = [_from_sdk(entity) async for entity in page]
                break
            following = pages.continuation_token
        return Page(rows, f"{following['PartitionKey']}\0{following['RowKey'] or ''}" if following else None)


def _condition(etag: str) -> dict[str, Any]:
    from azure.core import MatchConditions

    if etag == ANY:
        return {"match_condition": MatchConditions.Unconditionally}
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _etag(answer: Any) -> str:
    return str(answer["etag"])


def _to_sdk_operation(operation: Operation) -> tuple[Any, ...]:
    from azure.data.tables import UpdateMode

    entity = _to_sdk(operation.entity)
    if operation.verb is Verb.INSERT:
        return ("create", entity)
    if operation.verb is Verb.DELETE:
        return ("delete", entity, _condition(operation.etag or ANY))
    mode = UpdateMode.MERGE if operation.verb is Verb.MERGE else UpdateMode.REPLACE
    if operation.etag is None:
        return ("upsert", entity, {"mode": mode})
    return ("update", entity, {"mode": mode, **_condition(operation.etag)})


def _to_sdk(entity: Entity) -> dict[str, Any]:
    from azure.data.tables import EdmType, EntityProperty

    document: dict[str, Any] = {}
    for name, value in entity.items():
        if value is None:
            continue
        if isinstance(value, DateTime):
            document[name] = EntityProperty(value, EdmType.DATETIME)
        elif isinstance(value, Guid):
            document[name] = UUID(value)
        elif isinstance(value, Int64):
            document[name] = EntityProperty(int(value), EdmType.INT64)
        elif isinstance(value, str):
            document[name] = str(value)
        else:
            document[name] = value
    return document


def _from_sdk(entity: Any) -> Row:
    metadata = entity.metadata
    values: dict[str, Value] = {name: _value_from_sdk(value) for name, value in entity.items()}
    stamp = metadata.get("timestamp")
    if stamp is not None:
        values["Timestamp"] = _value_from_sdk(stamp)
    return Row(values, metadata.get("etag", ""))


def _value_from_sdk(value: Any) -> Value:
    if isinstance(value, datetime):
        exact = getattr(value, "tables_service_value", "") or ""
        moment = ticks.parse(exact) if exact else ticks.from_datetime(value.astimezone(timezone.utc))
        return DateTime(ticks.format_column(moment))
    if isinstance(value, UUID):
        return Guid(str(value))
    if isinstance(value, tuple) and len(value) == 2:  # an EntityProperty
        return Int64(value[0])
    return value  # type: ignore[no-any-return]


class SdkBlobs:
    """``BlobStore`` on azure-storage-blob."""

    def __init__(self, settings: ConnectionSettings, credential: Any, calls: CallCounter) -> None:
        from azure.storage.blob.aio import BlobServiceClient

        self._service: Any = BlobServiceClient(settings.blob_endpoint, credential=credential)
        self._endpoint = settings.blob_endpoint
        self._calls = calls

    async def close(self) -> None:
        await self._service.close()

    async def create_container(self, container: str) -> bool:
        from azure.core.exceptions import ResourceExistsError

        self._calls.add("blob.create_container")
        with _translated(f"creating container {container}"):
            try:
                await self._service.create_container(container)
            except ResourceExistsError as error:
                if "BeingDeleted" in str(error):
                    raise
                return False
        return True

    async def drop_container(self, container: str, *, lease: str | None = None) -> bool:
        from azure.core.exceptions import ResourceNotFoundError

        self._calls.add("blob.drop_container")
        with _translated(f"deleting container {container}"):
            try:
                await self._service.delete_container(container, lease=lease)
            except ResourceNotFoundError:
                return False
        return True

    async def containers(self, prefix: str) -> Sequence[str]:
        self._calls.add("blob.containers")
        with _translated("listing containers"):
            return sorted([found.name async for found in self._service.list_containers(name_starts_with=prefix)])

    async def put(
        self, container: str, name: str, data: bytes, *, if_absent: bool = False, lease: str | None = None
    ) -> str:
        self._calls.add("blob.put")
        with _translated(f"writing blob {name} of container {container}"):
            written = await self._service.get_blob_client(container, name).upload_blob(
                data, overwrite=not if_absent, lease=lease
            )
        return str(written["etag"])

    async def get(self, container: str, name: str) -> bytes:
        self._calls.add("blob.get")
        with _translated(f"reading blob {name} of container {container}"):
            stream = await self._service.get_blob_client(container, name).download_blob()
            data: bytes = await stream.readall()
        return data

    async def delete(self, container: str, name: str) -> bool:
        from azure.core.exceptions import ResourceNotFoundError

        self._calls.add("blob.delete")
        with _translated(f"deleting blob {name} of container {container}"):
            try:
                await self._service.get_blob_client(container, name).delete_blob()
            except ResourceNotFoundError:
                return False
        return True

    async def list(self, container: str, prefix: str = "") -> AsyncIterator[BlobProperties]:
        from azure.core.exceptions import ResourceNotFoundError

        self._calls.add("blob.list")
        with _translated(f"listing container {container}"):
            try:
                found = self._service.get_container_client(container).list_blobs(name_starts_with=prefix)
                async for blob in found:
                    yield BlobProperties(blob.name, blob.size or 0, f'"{str(blob.etag).strip(chr(34))}"')
            except ResourceNotFoundError:
                return

    def url(self, container: str, name: str) -> str:
        return f"{self._endpoint}/{container}/{quote(name, safe='/')}"

    async def acquire_lease(self, container: str, name: str | None, *, lease: str, seconds: int) -> None:
        self._calls.add("blob.lease")
        with self._leasing(container, name):
            await self._client(container, name).acquire_lease(lease_duration=seconds, lease_id=lease)

    async def renew_lease(self, container: str, name: str | None, *, lease: str) -> None:
        self._calls.add("blob.lease")
        with self._leasing(container, name):
            await self._lease(container, name, lease).renew()

    async def change_lease(self, container: str, name: str | None, *, lease: str, proposed: str) -> None:
        self._calls.add("blob.lease")
        with self._leasing(container, name):
            await self._lease(container, name, lease).change(proposed)

    async def release_lease(self, container: str, name: str | None, *, lease: str) -> None:
        self._calls.add("blob.lease")
        with self._leasing(container, name):
            await self._lease(container, name, lease).release()

    @contextmanager
    def _leasing(self, container: str, name: str | None) -> Iterator[None]:
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

        what = f"the lease on {name or 'container'} {container}"
        with _translated(what):
            try:
                yield
            except (ResourceExistsError, ResourceModifiedError) as error:
                code = str(getattr(error, "error_code", "") or "")
                raise PreconditionFailedError(f"{what}: {error.message}", status=409, code=code) from error

    def _client(self, container: str, name: str | None) -> Any:
        if name is None:
            return self._service.get_container_client(container)
        return self._service.get_blob_client(container, name)

    def _lease(self, container: str, name: str | None, lease: str) -> Any:
        from azure.storage.blob.aio import BlobLeaseClient

        return BlobLeaseClient(self._client(container, name), lease_id=lease)
